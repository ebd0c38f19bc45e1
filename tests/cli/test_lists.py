import json
from datetime import UTC, datetime, timedelta

import pytest

from queue_server.clock import SystemClock
from tests.cli.running import CommandLine
from tests.cli.stub_server import Answer, Stub, job, of, problem


def now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now() / 1_000_000, UTC)


def page(*jobs: object, cursor: str | None = None) -> object:
    return of({"items": list(jobs), "next_cursor": cursor})


def test_off_a_terminal_each_job_is_a_row_of_tabs(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", page(job(2, "failed"), job(1, "scheduled", context="My App")))
    ran = qs("ls")
    assert (ran.code, ran.err) == (0, "")
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert [row[:6] for row in rows] == [
        ["2", "failed", "500", "default", "POST example.com/mails", "500"],
        ["1", "scheduled", "500", "My App", "POST example.com/mails", ""],
    ]
    assert rows[0][7] == "1.5s"
    assert rows[1][7] == ""


def test_filters_order_and_limit_are_asked_of_the_server(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", page())
    filters = (
        *("--state", "failed", "--state", "cancelled", "--type", "http", "--queue", "mails", "--context", "a b&c"),
        *("--key", "k", "--parent", "5", "--tag", "customer=acme=1", "--tag", "x=y", "--sort", "-ended_at"),
        *("--created-after", "2026-11-24T09:30:00Z", "--ended-before", "2026-11-25T09:30:00+02:00", "--limit", "3"),
    )
    assert qs("ls", *filters, TZ="UTC").out == ""
    assert stub.asked[0].query == {
        "state": "failed,cancelled",
        "type": "http",
        "queue": "mails",
        "context": "a b&c",
        "key": "k",
        "parent_id": "5",
        "tag.customer": "acme=1",
        "tag.x": "y",
        "created_after": "2026-11-24T09:30:00+00:00",
        "ended_before": "2026-11-25T07:30:00+00:00",
        "sort": "-ended_at",
        "limit": "3",
    }


def test_a_time_may_be_how_long_ago_it_was(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", page())
    before = now()
    assert qs("ls", "--created-after", "2h", "--created-before", "15m").code == 0
    told = {name: datetime.fromisoformat(stub.asked[0].query[name]) for name in ("created_after", "created_before")}
    assert timedelta(0) <= told["created_after"] - (before - timedelta(hours=2)) < timedelta(seconds=20)
    assert told["created_before"] - told["created_after"] > timedelta(minutes=104)
    ran = qs("ls", "--created-after", "yesterday")
    assert (ran.code, "'yesterday' is no time such as" in ran.err) == (2, True)


def test_pages_are_followed_up_to_the_limit(qs: CommandLine, stub: Stub) -> None:
    first = page(*(job(number) for number in range(450, 250, -1)), cursor="251")
    stub.tell("GET /v1/jobs", first, page(*(job(number) for number in range(250, 150, -1)), cursor="151"))
    ran = qs("ls", "--limit", "300", "-o", "id")
    assert len(ran.out.split()) == 300
    assert [asked.query for asked in stub.asked] == [{"limit": "200"}, {"limit": "100", "cursor": "251"}]


def test_all_follows_every_page(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", page(job(3), cursor="3"), page(job(2), cursor="2"), page(job(1)))
    assert qs("ls", "--all", "-o", "id").out == "3\n2\n1\n"
    assert len(stub.asked) == 3


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_json_holds_what_the_server_wrote(qs: CommandLine, stub: Stub, form: str) -> None:
    jobs = [job(2, new_member={"x": 1}), job(1)]
    stub.tell("GET /v1/jobs", page(*jobs))
    out = qs("ls", "-o", form).out
    assert (json.loads(out) if form == "json" else [json.loads(line) for line in out.splitlines()]) == jobs


def test_control_characters_of_a_stranger_are_made_visible(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", page(job(1, context="a\x1b[31m\tb\nc\x9b")))
    ran = qs("ls")
    assert "a\\x1b[31m\\tb\\nc\\x9b" in ran.out
    assert ran.out.count("\n") == 1


def test_a_state_of_a_newer_server_is_shown(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", page(job(1, "paused")))
    assert qs("ls").out.split("\t")[1] == "paused"


def test_show_tells_all_about_a_job(qs: CommandLine, stub: Stub) -> None:
    attempt = {
        "number": 1,
        "claim": 1,
        "node_id": 1,
        "started_at": "2026-11-24T09:30:01.000000Z",
        "ended_at": "2026-11-24T09:30:01.812000Z",
        "duration": 0.812,
        "outcome": "timed_out",
        "exit_code": None,
        "signal": "SIGTERM",
        "error": "no answer in 20 s",
    }
    stub.tell("GET /v1/jobs/1", of(job(1, "failed", callback_done={"type": "http", "url": "http://x/"})))
    stub.tell("GET /v1/jobs/1/attempts", of({"items": [attempt]}))
    ran = qs("show", "1")
    assert ran.err == ""
    facts, attempts = ran.out.split("\n\n")
    told = dict(line.split("\t") for line in facts.splitlines())
    assert told["state"] == "failed"
    assert told["reason"] == "HTTP status 500, and no attempt is left"
    assert told["callback done"] == '{"type":"http","url":"http://x/"}'
    assert told["ended"] == "2026-11-24 09:30:02.500 UTC (ran 1.5s)"
    row = "1\t2026-11-24 09:30:01.000 UTC\t812ms\ttimed out\tSIGTERM\tno answer in 20 s\n"
    assert attempts == row
    whole = json.loads(qs("show", "1", "-o", "json").out)
    assert whole["attempts"] == [attempt]
    assert whole["id"] == 1


def test_logs_prints_the_bytes_as_they_are(qs: CommandLine, stub: Stub) -> None:
    answer = of({})
    answer.body = b"\xc3\xa4\n  raw\ttext"
    stub.tell("GET /v1/jobs/1", of(job(1)))
    stub.tell("GET /v1/jobs/1/output", answer)
    assert qs("logs", "1").out == "ä\n  raw\ttext"
    assert qs("logs", "1", "--stderr", "--attempt", "2").code == 0
    assert qs("logs", "1", "--head").code == 0
    queries = [asked.query for asked in stub.asked if asked.path.endswith("output")]
    assert queries == [{"stream": "output"}, {"stream": "stderr", "attempt": "2"}, {"stream": "head"}]


def test_logs_of_a_running_job_says_how_to_wait(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/1", of(job(1, "running")))
    stub.tell("GET /v1/jobs/1/output", of({}))
    ran = qs("logs", "1")
    assert (ran.code, ran.err) == (0, "job 1 is running; -f waits until it has ended\n")


def test_logs_follow_prints_each_attempt_until_the_job_has_ended(qs: CommandLine, stub: Stub) -> None:
    looks = [job(1, "available", attempt=0), job(1, "scheduled", attempt=1), job(1, "completed", attempt=2)]
    stub.tell("GET /v1/jobs/1", *map(of, looks))
    first, second = Answer(pieces=(b"first ", b"try\n"), body=b""), Answer(pieces=(b"second\n",), body=b"")
    no_more = problem(416, "no more")
    stub.tell("GET /v1/jobs/1/output", first, no_more, second, no_more)
    ran = qs("logs", "-f", "1")
    assert (ran.code, ran.out, ran.err) == (0, "first try\nsecond\n", "")
    queries = [asked.query for asked in stub.asked if "follow" in asked.query]
    assert queries == [{"stream": "output", "attempt": number, "follow": "1"} for number in ("1", "2")]


def test_logs_tail_asks_for_the_end(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/1", of(job(1)))
    stub.tell("GET /v1/jobs/1/output", Answer(206, b"end"))
    assert qs("logs", "1", "--tail", "1KiB").out == "end"
    assert stub.asked[-1].headers["range"] == "bytes=-1024"
    assert qs("logs", "1", "--tail", "much").code == 2
    ran = qs("logs", "1", "-f", "--tail", "5")
    assert (ran.code, "--tail can't be combined with -f" in ran.err) == (2, True)


def test_wait_prints_the_jobs_when_they_have_ended(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/1", of(job(1, "running")), of(job(1)))
    stub.tell("GET /v1/jobs/2", of(job(2)))
    assert qs("wait", "1", "2", "-o", "id").out == "1\n2\n"


def test_wait_waits_for_all_and_ends_with_10_if_one_failed(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/1", of(job(1, "cancelled", reason="cancelled by a user")))
    stub.tell("GET /v1/jobs/2", of(job(2, "running")), of(job(2)))
    ran = qs("wait", "1", "2", "-o", "id")
    assert (ran.code, ran.out) == (10, "1\n2\n")
    assert ran.err == "error: job 1 cancelled: cancelled by a user\n"


def test_wait_gives_up_after_its_timeout(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/1", of(job(1, "running")))
    ran = qs("wait", "1", "--timeout", "150ms")
    assert (ran.code, ran.out, ran.err) == (7, "", "error: job 1 is still running after 150ms\n")


def test_wait_lets_the_server_hold_its_answer_back(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/1", of(job(1)))
    assert qs("wait", "1").code == 0
    assert stub.asked[0].query == {"wait": "30.0"}


def test_show_tells_the_newer_members_where_they_are_set(qs: CommandLine, stub: Stub) -> None:
    members = {
        "queue": "mails",
        "key": "customer 5",
        "tags": {"app": "shop"},
        "retention": 3600,
        "expires_at": "2026-11-24T10:30:00.000000Z",
        "deadline": "2026-11-24T11:30:00.000000Z",
        "heartbeat_until": "2026-11-24T09:31:00.000000Z",
        "cancel_requested": True,
    }
    stub.tell("GET /v1/jobs/1", of(job(1, "running", **members)))
    stub.tell("GET /v1/jobs/1/attempts", of({"items": []}))
    told = dict(line.split("\t") for line in qs("show", "1").out.splitlines())
    wanted = {
        "queue": "mails",
        "key": "customer 5",
        "tag app": "shop",
        "retention": "1h",
        "expires at": "2026-11-24 10:30:00.000 UTC",
        "deadline": "2026-11-24 11:30:00.000 UTC",
        "alive until": "2026-11-24 09:31:00.000 UTC",
        "cancellation": "requested",
    }
    assert wanted.items() <= told.items()


def test_stats_are_facts(qs: CommandLine, stub: Stub) -> None:
    stats = {"version": "0.1.0", "jobs": {"running": 2, "failed": 0}, "slots": {"total": 100, "free": 98}}
    stub.tell("GET /v1/stats", of(stats))
    assert qs("stats").out == "running\t2\nfailed\t0\nslots\t98 of 100 free\nversion\t0.1.0\n"
    assert json.loads(qs("stats", "-o", "json").out) == stats
