"""What is asked again by itself, and what is not."""

import socket
import threading

import pytest

from queue_server.client import Client, Conflict, Invalid, Unavailable, Unreachable
from queue_server.client.asking import pauses
from tests.cli.stub_server import Answer, Stub, job, of, problem
from tests.client.talking import AsyncTalk, SyncTalk, Talk

BROKEN = Answer(201, b"", breaks=True)
BUSY = problem(503, "busy", **{"Retry-After": "0"})


def keys(stub: Stub) -> list[str]:
    return [asked.headers["idempotency-key"] for asked in stub.asked]


def test_a_broken_connection_makes_no_second_job(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", BROKEN, BUSY, BROKEN, of(job(7, "available"), 201))
    assert talk.call("add", url="http://x/").id == 7
    assert len(stub.asked) == 4
    assert len(set(keys(stub))) == 1
    assert len({asked.body for asked in stub.asked}) == 1


def test_each_job_has_its_own_key(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", of(job(7, "available"), 201))
    for _ in range(3):
        talk.call("add", url="http://x/")
    assert len(set(keys(stub))) == 3
    assert all(len(key) == 32 for key in keys(stub))


def test_a_key_that_is_given_is_sent(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", of(job(7, "available"), 201))
    talk.call("add", url="http://x/", idempotency_key="mine")
    assert keys(stub) == ["mine"]


def test_a_job_with_its_own_key_gets_no_other(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", BROKEN, of(job(7, "available"), 201))
    talk.call("add", {"command": {}, "idempotency_key": "ä"})
    talk.call("add", b'{"idempotency_key": "in bytes"}')
    assert len(stub.asked) == 3
    assert not any("idempotency-key" in asked.headers for asked in stub.asked)


def test_a_key_that_no_header_can_carry_is_refused(talk: Talk, stub: Stub) -> None:
    for key in ("", " a", "a\nb", "ä"):
        with pytest.raises(ValueError, match="idempotency_key must be visible ASCII"):
            talk.call("add", url="http://x/", idempotency_key=key)
    with pytest.raises(ValueError, match="last_event_id must be"):
        next(talk.items("events", last_event_id="ä"))
    assert stub.asked == []


def test_what_repeats_itself_is_asked_again(talk: Talk, stub: Stub) -> None:
    calls = {
        "get": ("GET /v1/jobs/7", ()),
        "cancel": ("POST /v1/jobs/7/cancel", ()),
        "run": ("POST /v1/jobs/7/run", ()),
        "update": ("PATCH /v1/jobs/7", ({"priority": 1},)),
    }
    for method, (request, arguments) in calls.items():
        stub.tell(request, BUSY, BROKEN, of(job(7)))
        assert talk.call(method, 7, *arguments).id == 7


def test_reports_of_results_are_sent_again(talk: Talk, stub: Stub) -> None:
    for report in ("heartbeat", "complete", "fail"):
        told = {"job_id": 7, "claim": 3, "cancel_requested": False} if report == "heartbeat" else job(7)
        stub.tell(f"POST /v1/jobs/7/attempts/3/{report}", BUSY, BROKEN, of(told))
        talk.call(report, 7, 3)
    assert len(stub.asked) == 9


def test_what_does_more_when_sent_twice_is_sent_once(talk: Talk, stub: Stub) -> None:
    calls = {"retry": ("POST /v1/jobs/7/retry", (7,), {}), "delete": ("DELETE /v1/jobs/7", (7,), {})}
    calls["cancel_jobs"] = ("POST /v1/jobs:cancel", (), {"state": "scheduled"})
    for method, (request, arguments, options) in calls.items():
        for answer, error in ((BUSY, Unavailable), (BROKEN, Unreachable)):
            stub.tell(request, answer)
            with pytest.raises(error):
                talk.call(method, *arguments, **options)
    assert len(stub.asked) == 6


def test_a_server_that_wants_more_time_than_there_is_is_told(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", problem(503, "full", **{"Retry-After": "60"}))
    with pytest.raises(Unavailable):
        talk.call("add", url="http://x/")
    assert len(stub.asked) == 1


@pytest.mark.parametrize("kind", [SyncTalk, AsyncTalk])
def test_it_is_given_up_after_its_time(kind: type[SyncTalk], stub: Stub) -> None:
    stub.tell("POST /v1/jobs", BUSY)
    with kind(stub.url, retry_for=0.4) as talk, pytest.raises(Unavailable):
        talk.call("add", url="http://x/")
    assert 2 <= len(stub.asked) <= 3


def test_mistakes_are_not_asked_again(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", problem(400, "no"))
    with pytest.raises(Invalid):
        talk.call("add", url="http://x/")
    assert len(stub.asked) == 1


def test_a_proxy_before_a_server_that_restarts_is_asked_again(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", Answer(502, b"<html>Bad Gateway"), of(job(7, "available"), 201))
    assert talk.call("add", url="http://x/").id == 7


@pytest.mark.parametrize("kind", [SyncTalk, AsyncTalk])
def test_a_client_that_had_an_answer_waits_for_the_server_to_come_back(kind: type[SyncTalk]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        answering = threading.Thread(target=_answer, args=(first, 7))
        answering.start()
        talk = kind(f"http://127.0.0.1:{port}")
        with talk:
            assert talk.call("add", url="http://x/").id == 7
            answering.join()
            first.close()
            back = threading.Timer(0.3, _come_back, args=(port,))
            back.start()
            assert talk.call("add", url="http://x/").id == 8
            back.join()


def _come_back(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        _answer(listener, 8)


def _answer(listener: socket.socket, job_id: int) -> None:
    body = b'{"id":%d,"state":"available","created_at":"2026-11-24T09:30:00.000000Z"}' % job_id
    connection, _ = listener.accept()
    with connection:
        received = b""
        while not received.endswith(b"}}"):
            received += connection.recv(65536)
        head = b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)


def test_many_are_added_in_chunks_with_a_key_each(talk: Talk, stub: Stub) -> None:
    answers = [of({"ids": ids, "count": len(ids), "replayed": 0}, 201) for ids in ([1, 2], [3, 4], [5])]
    stub.tell("POST /v1/jobs/batch", answers[0], BROKEN, *answers[1:])
    jobs = ({"command": {"type": "http", "url": f"http://x/{number}"}} for number in range(5))
    assert talk.call("add_many", jobs, chunk=2) == [1, 2, 3, 4, 5]
    bodies = [asked.body.count(b"\n") for asked in stub.asked]
    assert bodies == [2, 2, 2, 1]
    first, second, again, last = keys(stub)
    assert second == again
    assert len({first, second, last}) == 3
    assert stub.asked[0].headers["content-type"] == "application/x-ndjson"


def test_many_with_a_key_have_the_same_keys_when_added_again(talk: Talk, stub: Stub) -> None:
    stub.tell("POST /v1/jobs/batch", of({"ids": [1], "count": 1, "replayed": 0}, 201))
    for _ in range(2):
        talk.call("add_many", [b"{}", b"{}"], idempotency_key="import", chunk=1)
    assert keys(stub) == ["import-1", "import-2"] * 2


def test_no_jobs_are_no_request(talk: Talk, stub: Stub) -> None:
    assert talk.call("add_many", []) == []
    assert stub.asked == []


def test_an_error_among_many_tells_what_was_added_and_counts_from_the_first_job(talk: Talk, stub: Stub) -> None:
    wrong = problem(400, "Invalid requests", [{"pointer": "/1/command/url", "detail": "must name a host"}])
    stub.tell("POST /v1/jobs/batch", of({"ids": [1, 2], "count": 2, "replayed": 0}, 201), wrong)
    with pytest.raises(Invalid) as caught:
        talk.call("add_many", [b"{}"] * 4, chunk=2)
    assert caught.value.added == (1, 2)
    assert [error.pointer for error in caught.value.errors] == ["/3/command/url"]


def test_another_state_is_no_reason_to_ask_again(stub: Stub) -> None:
    stub.tell("POST /v1/jobs/7/cancel", problem(409, "Job 7 is completed"))
    with Client(stub.url) as client, pytest.raises(Conflict, match="Job 7 is completed"):
        client.cancel(7)


def test_pauses_grow_to_their_longest() -> None:
    found = pauses(0.1, 1.0)
    assert [round(next(found), 1) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
