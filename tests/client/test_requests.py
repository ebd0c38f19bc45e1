"""Each method sends what the API asks for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queue_server.client import Client
from tests.cli.stub_server import Answer, Stub, job, of
from tests.client.talking import SyncTalk, Talk

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OPERATION = {
    "id": 1,
    "action": "retry",
    "state": "completed",
    "created_at": "2026-11-24T09:30:00.000000Z",
    "matched": 2,
}
FOUND = {"matched": 2, "dry_run": True}
Sent = tuple[str, dict[str, str], Any]
Call = tuple[str, tuple[Any, ...], dict[str, Any], Sent, object]

CALLS: list[Call] = [
    ("get", (7,), {}, ("GET /v1/jobs/7", {}, None), job(7)),
    ("update", (7, {"priority": 9, "key": None}), {}, ("PATCH /v1/jobs/7", {}, {"priority": 9, "key": None}), job(7)),
    ("cancel", (7,), {}, ("POST /v1/jobs/7/cancel", {}, None), job(7)),
    ("cancel", (7,), {"reason": "no", "wait": 5}, ("POST /v1/jobs/7/cancel", {"wait": "5"}, {"reason": "no"}), job(7)),
    ("retry", (7,), {}, ("POST /v1/jobs/7/retry", {}, None), job(7)),
    ("retry", (7, {"delay": timedelta(minutes=1)}), {}, ("POST /v1/jobs/7/retry", {}, {"delay": 60}), job(7)),
    ("run", (7,), {}, ("POST /v1/jobs/7/run", {}, None), job(7)),
    ("attempts", (7,), {}, ("GET /v1/jobs/7/attempts", {}, None), {"items": []}),
    (
        "explain",
        (7,),
        {},
        ("GET /v1/jobs/7/explain", {}, None),
        {"id": 7, "state": "failed", "sentence": "It failed.", "facts": {"a": 1}},
    ),
    (
        "heartbeat",
        (7, 3),
        {"timeout": 60, "message": "half"},
        ("POST /v1/jobs/7/attempts/3/heartbeat", {}, {"timeout": 60, "message": "half"}),
        {"job_id": 7, "claim": 3, "heartbeat_until": "2026-11-24T09:30:00.000000Z", "cancel_requested": True},
    ),
    (
        "complete",
        (7, 3),
        {"output": "done", "exit_code": 0},
        ("POST /v1/jobs/7/attempts/3/complete", {}, {"output": "done", "exit_code": 0}),
        job(7),
    ),
    (
        "fail",
        (7, 3),
        {"error": "no disk", "retry_after": 5},
        ("POST /v1/jobs/7/attempts/3/fail", {}, {"error": "no disk", "retry_after": 5}),
        job(7),
    ),
    (
        "cancel_jobs",
        (),
        {"state": ["scheduled", "available"], "tags": {"a": "b"}, "created_before": NOON, "dry_run": True},
        (
            "POST /v1/jobs:cancel",
            {},
            {
                "filter": {
                    "state": ["scheduled", "available"],
                    "tags": {"a": "b"},
                    "created_before": "2026-11-24T12:00:00+00:00",
                },
                "dry_run": True,
            },
        ),
        FOUND,
    ),
    (
        "retry_jobs",
        (),
        {"ids": [1, 2], "changes": {"priority": 1}},
        ("POST /v1/jobs:retry", {}, {"filter": {"ids": [1, 2]}, "dry_run": False, "changes": {"priority": 1}}),
        {"matched": 2, "operation": OPERATION},
    ),
    (
        "delete_jobs",
        (),
        {"all_jobs": True, "dry_run": True},
        ("POST /v1/jobs:delete", {}, {"filter": {}, "dry_run": True}),
        FOUND,
    ),
    ("operation", (1,), {}, ("GET /v1/operations/1", {}, None), OPERATION),
    ("cancel_operation", (1,), {}, ("POST /v1/operations/1/cancel", {}, {}), OPERATION),
    ("stats", (), {}, ("GET /v1/stats", {}, None), {"version": "1", "jobs": {}, "slots": {"total": 2, "free": 1}}),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[3][0])
def test_a_method_sends_its_request_and_reads_its_answer(talk: Talk, stub: Stub, call: Call) -> None:
    method, arguments, options, (request, query, body), answer = call
    stub.tell(request, of(answer))
    talk.call(method, *arguments, **options)
    (asked,) = stub.asked
    assert asked.query == query
    assert (asked.json if asked.body else None) == body
    assert asked.headers["user-agent"].startswith("queue-server-python/")


def test_a_deletion_has_no_answer(talk: Talk, stub: Stub) -> None:
    stub.tell("DELETE /v1/jobs/7", Answer(204, b""))
    assert talk.call("delete", 7) is None


def test_members_become_a_job(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", of(job(7, "scheduled"), 201))
    added = talk.call(
        "add",
        url="https://example.com/",
        json={"at": NOON},
        timeout=timedelta(seconds=1.5),
        run_at=NOON,
        ttl=timedelta(hours=1),
        deadline=60,
        queue="mails",
        tags={"customer": "acme"},
        retry={"max_attempts": 3},
        callback_done="https://example.com/done",
    )
    assert (added.id, added.state, added.is_final) == (7, "scheduled", False)
    assert stub.asked[0].json == {
        "command": {
            "type": "http",
            "url": "https://example.com/",
            "json": {"at": "2026-11-24T12:00:00+00:00"},
            "timeout": 1.5,
        },
        "run_at": "2026-11-24T12:00:00+00:00",
        "ttl": 3600,
        "deadline": 60,
        "queue": "mails",
        "tags": {"customer": "acme"},
        "retry": {"max_attempts": 3},
        "callback_done": {"type": "http", "url": "https://example.com/done"},
    }


@pytest.mark.parametrize("members", [{"cmd": "ls"}, {"args": ["ls", "-l"]}, {"name": "ls", "arguments": {"all": True}}])
def test_a_command_is_an_exec_job(talk: Talk, stub: Stub, members: dict[str, Any]) -> None:
    stub.tell("POST /v1/jobs", of(job(7, "available"), 201))
    talk.call("add", **members, stdin="x")
    assert stub.asked[0].json == {"command": {"type": "exec", **members, "stdin": "x"}}


def test_a_whole_job_is_sent_as_it_is(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", of(job(7, "available"), 201))
    text = '{"command": {"type": "http", "url": "http://x/"}, "big": 12345678901234567890123}'
    talk.call("add", text)
    talk.call("add", {"command": {"type": "http", "url": "http://x/"}, "delay": timedelta(seconds=2)})
    assert stub.asked[0].body.decode() == text
    assert stub.asked[1].json == {"command": {"type": "http", "url": "http://x/"}, "delay": 2}


def test_what_can_be_no_request_is_refused_before_it_is_sent(talk: Talk, stub: Stub) -> None:
    naive = datetime(2026, 11, 24, 12)  # noqa: DTZ001 (that is the point)
    for method, options in (
        ("add", {"url": "http://x/", "run_at": naive}),
        ("add", {"job": {"command": {}}, "queue": "x"}),
        ("cancel_jobs", {}),
        ("cancel_jobs", {"all_jobs": True, "state": "failed"}),
        ("output", {"job_id": 7, "start": 5, "end": 5}),
    ):
        with pytest.raises(ValueError, match=r"time zone|not both|all_jobs=True|are no bytes"):
            talk.call(method, **options)
    assert stub.asked == []


@pytest.mark.parametrize(
    ("span", "wanted"),
    [
        ({}, None),
        ({"start": 5}, "bytes=5-"),
        ({"start": -5}, "bytes=-5"),
        ({"start": 2, "end": 5}, "bytes=2-4"),
        ({"end": 1}, "bytes=0-0"),
    ],
)
def test_a_part_of_the_output_is_asked_for_as_a_range(
    talk: Talk, stub: Stub, span: dict[str, int], wanted: str | None
) -> None:
    stub.tell("GET /v1/jobs/7/output", Answer(206, b"\x00\xff"))
    assert talk.call("output", 7, stream="stderr", attempt=2, **span) == b"\x00\xff"
    assert stub.asked[0].query == {"stream": "stderr", "attempt": "2"}
    assert stub.asked[0].headers.get("range") == wanted


def test_a_range_of_an_empty_output_is_empty(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7/output", of({"title": "Range Not Satisfiable", "status": 416}, 416))
    assert talk.call("output", 7, start=-10) == b""


def test_lists_follow_every_page_also_empty_ones(talk: Talk, stub: Stub) -> None:
    pages = [
        {"items": [job(9), job(8)], "next_cursor": "b"},
        {"items": [], "next_cursor": "c"},
        {"items": [job(7)], "next_cursor": None},
    ]
    stub.tell("GET /v1/jobs", *map(of, pages))
    filters = {"state": ("failed", "cancelled"), "tags": {"a": "b c"}, "ended_after": NOON, "sort": "-ended_at"}
    assert [found.id for found in talk.items("jobs", **filters)] == [9, 8, 7]
    assert [asked.query.get("cursor") for asked in stub.asked] == [None, "b", "c"]
    assert stub.asked[0].query == {
        "state": "failed,cancelled",
        "tag.a": "b c",
        "ended_after": "2026-11-24T12:00:00+00:00",
        "sort": "-ended_at",
        "limit": "200",
    }


def test_a_list_ends_at_its_limit(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", of({"items": [job(9), job(8)], "next_cursor": "b"}))
    assert [found.id for found in talk.items("jobs", limit=3)] == [9, 8, 9]
    assert [asked.query["limit"] for asked in stub.asked] == ["3", "1"]


def test_operations_are_listed(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/operations", of({"items": [OPERATION], "next_cursor": None}))
    (operation,) = talk.items("operations")
    assert (operation.id, operation.action, operation.is_final) == (1, "retry", True)


def test_members_of_a_newer_server_are_skipped_and_kept_in_raw(talk: Talk, stub: Stub) -> None:
    told = job(7, "paused", new={"x": 1}, raw="mine")
    stub.tell("GET /v1/jobs/7", of(told))
    found = talk.call("get", 7)
    assert (found.state, found.is_final, found.has_failed) == ("paused", False, False)
    assert b'"new"' in found.raw
    assert "raw=" not in repr(found)
    assert "state='paused'" in repr(found)


def test_the_environment_tells_address_and_token(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7)))
    monkeypatch.setenv("QUEUE_SERVER_URL", stub.url + "/")
    monkeypatch.setenv("QUEUE_SERVER_TOKEN", "of the environment\n")
    with Client() as client:
        client.get(7)
    with SyncTalk(stub.url, token="given") as talk:
        talk.call("get", 7)
    told = [asked.headers["authorization"] for asked in stub.asked]
    assert told == ["Bearer of the environment", "Bearer given"]
