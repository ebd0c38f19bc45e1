"""The commands that change jobs: by their IDs, or many by filters."""

import json

import pytest

from tests.cli.running import CommandLine
from tests.cli.stub_server import Answer, Stub, job, of, problem

WAY = {"cancel": "POST /v1/jobs/{}/cancel", "retry": "POST /v1/jobs/{}/retry", "run": "POST /v1/jobs/{}/run"}


def operation(state: str = "running", **members: object) -> dict[str, object]:
    times = {"created_at": "2026-11-24T09:30:00.000000Z", "ended_at": None, "error": None}
    counts = {"matched": 1204, "done": 0, "skipped": 0}
    return {"id": 5, "action": "cancel", "filter": {"state": "failed"}, "state": state, **counts, **times, **members}


@pytest.fixture
def many(stub: Stub) -> Stub:
    """A stub that has 1,204 jobs to cancel, and needs two looks for it."""
    counted = of({"matched": 1204, "dry_run": True})
    begun = of({"matched": 1204, "dry_run": False, "operation": operation()}, 202)
    stub.tell("POST /v1/jobs:cancel", counted, begun)
    stub.tell("GET /v1/operations/5", of(operation(done=600)), of(operation("completed", done=1200, skipped=4)))
    return stub


@pytest.mark.parametrize("command", ["cancel", "retry", "run"])
def test_jobs_are_changed_one_by_one_and_printed(qs: CommandLine, stub: Stub, command: str) -> None:
    stub.tell(WAY[command].format(1), of(job(1, "available")))
    stub.tell(WAY[command].format(2), of(job(2, "cancelled")))
    ran = qs(command, "1", "2")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split("\t")[:2] for line in ran.out.splitlines()] == [["1", "available"], ["2", "cancelled"]]
    assert [item["id"] for item in json.loads(qs(command, "1", "-o", "json").out)] == [1]


def test_one_that_is_refused_is_told_and_does_not_stop_the_others(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs/1/retry", problem(409, "Job 1 is running; cancel it first"))
    stub.tell("POST /v1/jobs/2/retry", problem(409, "still running"))
    stub.tell("POST /v1/jobs/3/retry", of(job(3, "available")))
    ran = qs("retry", "1", "2", "3", "99")
    assert ran.code == 1
    assert [line.split("\t")[0] for line in ran.out.splitlines()] == ["3"]
    assert ran.err.splitlines()[:2] == ["error: Job 1 is running; cancel it first", "error: job 2: still running"]
    assert "there is no job 99" in ran.err


def test_deleted_jobs_are_gone_without_a_word(qs: CommandLine, stub: Stub) -> None:
    stub.tell("DELETE /v1/jobs/1", Answer(204, b""))
    ran = qs("delete", "1")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_reason_wait_and_changes_are_sent(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs/1/cancel", of(job(1, "cancelled"), 202))
    assert qs("cancel", "1", "--reason", "wrong list", "--wait", "5").code == 0
    assert (stub.asked[0].json, stub.asked[0].query) == ({"reason": "wrong list"}, {"wait": "5.0"})
    stub.tell("POST /v1/jobs/1/retry", of(job(1, "available")))
    assert qs("retry", "1", "--set", '{"priority": 900, "key": null, "n": 12345678901234567890123}').code == 0
    assert stub.asked[1].json == {"priority": 900, "key": None, "n": 12345678901234567890123}


def test_edit_sends_a_merge_patch_of_its_options(qs: CommandLine, stub: Stub) -> None:
    stub.tell("PATCH /v1/jobs/1", of(job(1, "scheduled")))
    ran = qs(
        *("edit", "1", "--priority", "900", "--delay", "1h", "--tag", "a=b", "--deadline", "5m", "--queue", "q"),
        *("--set", '{"command": {"timeout": 5}, "key": null}', "-o", "id"),
    )
    assert (ran.code, ran.out) == (0, "1\n")
    assert stub.asked[0].json == {
        "priority": 900,
        "delay": 3600,
        "tags": {"a": "b"},
        "deadline": 300,
        "queue": "q",
        "command": {"timeout": 5},
        "key": None,
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("cancel",), "Give the IDs of jobs, filters such as --state failed, or --all."),
        (("cancel", "1", "--state", "failed"), "Give IDs or filters, not both."),
        (("retry", "1", "--all"), "Give IDs or filters, not both."),
        (("delete", "--all", "--state", "failed"), "Give filters or --all, not both."),
        (("cancel", "1", "--dry-run"), "--dry-run counts the jobs that filters match"),
        (("cancel", "--state", "failed"), "add --yes, or --dry-run to count them"),
        (("run", "--all"), "add --yes, or --dry-run to count them"),
        (("run", "--state", "failed"), "No such option"),
        (("edit", "1"), "Give what to change"),
        (("edit", "1", "--set", "[]"), "must be a JSON object"),
        (("retry", "1", "--set", "{"), "is not JSON"),
    ],
)
def test_a_wrong_call_is_a_usage_error(qs: CommandLine, stub: Stub, arguments: tuple[str, ...], told: str) -> None:
    ran = qs(*arguments)
    assert (ran.code, ran.out, stub.asked) == (2, "", [])
    assert told in ran.err


def test_a_dry_run_counts(qs: CommandLine, many: Stub) -> None:
    ran = qs("cancel", "--state", "failed", "--dry-run")
    assert (ran.code, ran.out, ran.err) == (0, "matched\t1204\n", "")
    many.tell("POST /v1/jobs:cancel", of({"matched": 1204, "dry_run": True}))
    told = json.loads(qs("cancel", "--all", "--dry-run", "-o", "json").out)
    assert told == {"matched": 1204, "dry_run": True}
    assert [asked.json["filter"] for asked in many.asked] == [{"state": ["failed"]}, {}]


def test_many_are_changed_without_a_question_when_yes_is_said(qs: CommandLine, many: Stub) -> None:
    ran = qs("cancel", "--state", "available", "--tag", "a=b", "--reason", "x", "--yes")
    assert (ran.code, ran.err) == (0, "")
    told = dict(line.split("\t") for line in ran.out.splitlines())
    assert (told["operation"], told["state"], told["done"], told["skipped"]) == ("5", "completed", "1200", "4")
    bodies = [asked.json for asked in many.asked if asked.method == "POST"]
    wanted = {"filter": {"state": ["available"], "tags": {"a": "b"}}, "reason": "x"}
    assert bodies == [{**wanted, "dry_run": dry} for dry in (True, False)]


def test_a_person_is_asked_and_sees_how_far_it_is(qs: CommandLine, many: Stub) -> None:
    half = of(operation(done=600))
    many.tell("GET /v1/operations/5", *[half] * 4, of(operation("completed", done=1200, skipped=4)))
    ran = qs.on_terminal("cancel", "--state", "failed", typed={"[y/N]": b"y\n"})
    assert ran.code == 0
    assert "cancel 1,204 jobs? [y/N]: y" in ran.out
    assert "600 of 1,204" in ran.out
    assert "skipped" in ran.out


@pytest.mark.parametrize("answer", [b"\n", b"n\n", b"\x04"])
def test_nothing_happens_unless_the_person_says_yes(qs: CommandLine, many: Stub, answer: bytes) -> None:
    ran = qs.on_terminal("cancel", "--state", "failed", typed={"[y/N]": answer})
    assert ran.code == 130
    assert [asked.json["dry_run"] for asked in many.asked] == [True]


@pytest.mark.parametrize("command", ["cancel", "retry", "delete"])
def test_no_match_is_no_question(qs: CommandLine, stub: Stub, command: str) -> None:
    stub.tell(f"POST /v1/jobs:{command}", of({"matched": 0, "dry_run": True}))
    ran = qs(command, "--context", "none", "--yes")
    assert (ran.code, ran.out, ran.err) == (0, "", "no jobs match\n")
    assert len(stub.asked) == 1


def test_an_operation_that_failed_is_a_failure(qs: CommandLine, many: Stub) -> None:
    many.tell("GET /v1/operations/5", of(operation("failed", error="the disk is full")))
    ran = qs("cancel", "--all", "--yes")
    assert (ran.code, ran.err) == (1, "error: operation 5 failed: the disk is full\n")


def test_ctrl_c_leaves_the_operation_alone_and_says_how_to_stop_it(qs: CommandLine, many: Stub) -> None:
    many.tell("GET /v1/operations/5", of(operation(done=600)))
    ran = qs.on_terminal("cancel", "--all", "--yes", typed={"600 of": b"\x03"})
    assert ran.code == 130
    assert "operation 5 goes on; to stop it: queue-server operations cancel 5" in ran.out


def test_scheduled_jobs_that_match_are_run_one_by_one(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", of({"items": [job(2, "scheduled"), job(1, "scheduled")], "next_cursor": None}))
    for number in (1, 2):
        stub.tell(WAY["run"].format(number), of(job(number, "available")))
    assert qs("run", "--queue", "mails", "--dry-run").out == "matched\t2\n"
    assert qs("run", "--queue", "mails", "--yes", "-o", "id").out == "2\n1\n"
    assert stub.asked[0].query == {"state": "scheduled", "queue": "mails", "sort": "run_at", "limit": "200"}
    stub.tell("GET /v1/jobs", of({"items": [], "next_cursor": None}))
    assert qs("run", "--all", "--yes").err == "no scheduled jobs match\n"


def test_operations_are_listed_shown_awaited_and_stopped(qs: CommandLine, many: Stub) -> None:
    many.tell("GET /v1/operations", of({"items": [operation()], "next_cursor": None}))
    many.tell("POST /v1/operations/5/cancel", of(operation("cancelled")))
    row = qs("operations").out.split("\t")
    assert row[:6] == ["5", "cancel", "running", "1204", "0", "0"]
    assert qs("operations", "ls", "-o", "id").out == "5\n"
    assert json.loads(qs("operations", "show", "5", "-o", "json").out)["done"] == 600
    assert "state\tcompleted" in qs("operations", "wait", "5").out
    assert "state\tcancelled" in qs("operations", "cancel", "5").out
    assert qs("operations", "show", "6").code == 3
