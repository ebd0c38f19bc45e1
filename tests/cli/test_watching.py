"""Looking at the server while it works: events, top, explain; and its description."""

import json
import signal
from typing import Any

from tests.cli.running import CommandLine
from tests.cli.stub_server import Stub, events, job, of, problem

STATS = {
    "version": "0.1.0",
    "jobs": {"scheduled": 0, "available": 1204, "running": 2, "completed": 9, "failed": 1, "cancelled": 0},
    "slots": {"total": 100, "free": 98},
}


def event(job_id: int, state: str, **members: object) -> dict[str, Any]:
    at = {"at": "2026-11-24T09:30:00.000000Z"}
    return {"type": f"job.{state}", "job_id": job_id, "state": state, "context": "shop", **at, **members}


def top_of(stub: Stub) -> None:
    stub.tell("GET /v1/stats", of(STATS), of({**STATS, "jobs": {**STATS["jobs"], "completed": 10_000_000}}))
    stub.tell("GET /v1/jobs", of({"items": [job(41, "running"), job(42, "failed")], "next_cursor": None}))


def test_the_events_of_a_job_are_rows(qs: CommandLine, stub: Stub) -> None:
    stub.tell(
        "GET /v1/jobs/7/events",
        events(
            ("job", "a", job(7, "running", context="shop")),
            ("reset", "b", {}),
            ("job.failed", "c", event(7, "failed", exit_code=500, error="HTTP status 500")),
        ),
    )
    ran = qs("events", "7")
    assert (ran.code, ran.err) == (
        0,
        "some events were missed: the server was started again, or it has forgotten them\n",
    )
    assert [line.split("\t") for line in ran.out.splitlines()] == [
        ["2026-11-24 09:30:00.000 UTC", "job", "7", "running", "shop", ""],
        ["2026-11-24 09:30:00.000 UTC", "failed", "7", "failed", "shop", "500 HTTP status 500"],
    ]


def test_events_as_lines_are_what_the_server_wrote(qs: CommandLine, stub: Stub) -> None:
    told = event(7, "completed", new=1)
    stub.tell(
        "GET /v1/jobs/7/events", events(("job", "a", job(7, "running")), ("reset", "b", {}), ("job.x", "c", told))
    )
    lines = [json.loads(line) for line in qs("events", "7", "-o", "ndjson").out.splitlines()]
    assert lines == [{"type": "job", "job": job(7, "running")}, {"type": "reset"}, told]


def test_events_of_all_jobs_are_filtered_and_end_with_ctrl_c(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/events", events(("job.added", "a", event(7, "available")), breaks=True))
    process = qs.start(
        *("events", "--type", "added", "--type", "failed", "--state", "failed", "--queue", "q", "--context", "c"),
        *("--after", "z"),
    )
    assert process.stdout
    assert b"\tavailable\t" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (130, b"")
    assert stub.asked[0].query == {"type": "job.added,job.failed", "state": "failed", "queue": "q", "context": "c"}
    assert stub.asked[0].headers["last-event-id"] == "z"


def test_an_id_and_filters_contradict_each_other(qs: CommandLine) -> None:
    ran = qs("events", "7", "--queue", "q")
    assert (ran.code, "Give an ID or filters, not both." in ran.err) == (2, True)


def test_a_terminal_shows_events_in_columns(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7/events", events(("job.completed", "c", event(7, "completed", exit_code=200))))
    shown = qs.on_terminal("events", "7", NO_COLOR="1").out
    assert "UTC  completed          7  completed  shop" in shown


def test_explain_is_a_sentence_or_the_facts(qs: CommandLine, stub: Stub) -> None:
    told = {"id": 7, "state": "scheduled", "sentence": "It waits\x1b for 09:30.", "facts": {"attempt": 2}}
    stub.tell("GET /v1/jobs/7/explain", of(told))
    ran = qs("explain", "7")
    assert (ran.code, ran.out) == (0, "It waits\\x1b for 09:30.\n")
    assert json.loads(qs("explain", "7", "-o", "json").out) == told


def test_openapi_prints_the_description(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/openapi.json", of({"openapi": "3.1.0"}))
    assert json.loads(qs("openapi").out) == {"openapi": "3.1.0"}
    assert qs("openapi", "-o", "ndjson").out == '{"openapi":"3.1.0"}\n'


def test_top_off_a_terminal_is_one_snapshot(qs: CommandLine, stub: Stub) -> None:
    top_of(stub)
    ran = qs("top")
    assert (ran.code, ran.err) == (0, "")
    facts, running, failed = ran.out.split("\n\n")
    assert "available\t1204\n" in facts
    assert "slots\t98 of 100 free" in facts
    assert running.split("\t")[0] == "41"
    assert failed.splitlines()[1].split("\t")[2] == "500"
    asked = [asked.query for asked in stub.asked if asked.path == "/v1/jobs"]
    assert asked == [
        {"state": "running", "sort": "id", "limit": "200"},
        {"state": "failed", "sort": "-ended_at", "limit": "5"},
    ]


def test_top_on_a_terminal_goes_on_until_q(qs: CommandLine, stub: Stub) -> None:
    top_of(stub)
    ran = qs.on_terminal("top", "--interval", "100ms", typed={"10,000,000": b"q"})
    assert ran.code == 0
    assert "1,204" in ran.out
    assert "2 of 100 used" in ran.out
    assert "last failures" in ran.out
    assert "ended" in ran.out
    assert ran.out.endswith("\x1b[?25h\x1b[?1049l")  # the cursor and the screen from before are back


def test_top_on_a_terminal_ends_with_ctrl_c(qs: CommandLine, stub: Stub) -> None:
    top_of(stub)
    assert qs.on_terminal("top", typed={"last failures": b"\x03"}).code == 130


def test_top_once_on_a_terminal_is_a_table(qs: CommandLine, stub: Stub) -> None:
    top_of(stub)
    shown = qs.on_terminal("top", "--once").out
    assert "WHAT" in shown
    assert "\x1b[?1049h" not in shown  # no screen of its own


def test_top_says_when_the_server_is_away_and_goes_on(qs: CommandLine, stub: Stub) -> None:
    top_of(stub)
    stub.tell("GET /v1/stats", of(STATS), problem(503, "the server is stopping"))
    ran = qs.on_terminal("top", "--interval", "100ms", typed={"is stopping": b"q"})
    assert ran.code == 0


def test_top_of_no_server_is_an_error(alone: CommandLine) -> None:
    assert alone("top").code == 5
    assert alone.on_terminal("top").code == 5
