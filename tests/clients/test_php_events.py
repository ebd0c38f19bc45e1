"""Server-sent events in the PHP client; the server is a stub."""

import json
from collections.abc import Iterator

import pytest

from tests.clients.answers import JSON, problem
from tests.clients.conftest import Stub
from tests.clients.php import Thrown
from tests.support.target import Reply
from tests.support.tools import needs

pytestmark = needs("php")

TAKE = """
    $found = [];
    foreach ($queue->%s as $event) {
        $found[] = $event;
        if (count($found) === $in['count']) {
            break;
        }
    }
    return $found;
"""


def events(*pieces: bytes, breaks: bool = False) -> Reply:
    """A stream of these pieces that ends in order, or breaks off."""
    if not breaks:
        return Reply(200, headers=[JSON], pieces=lambda: iter(pieces), is_chunked=True, close=True)
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)


def event(number: int, kind: str, **data: object) -> bytes:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def test_events_are_read_however_they_are_cut(stub: Stub) -> None:
    whole = (
        b": ping\n\n"
        b'id: 1-a\nevent: job.added\ndata: {"job_id":9007199254740993,"key":"\xc3\xbc"}\n\n'
        b'event:job.started\r\ndata:{"a":\r\ndata: 1}\r\n\r\n'
        b"id: 3\n\n"
        b"event: reset\ndata\n\n"
    )
    stub.on("/v1/events", events(*(whole[place : place + 1] for place in range(len(whole)))))
    assert stub(TAKE % "events(['type' => ['job.added', 'job.started'], 'queue' => 'a'])", count=3) == [
        {"id": "1-a", "type": "job.added", "data": {"job_id": 9007199254740993, "key": "ü"}},
        {"id": None, "type": "job.started", "data": {"a": 1}},
        {"id": None, "type": "reset", "data": []},
    ]
    assert stub.one("/v1/events").query == [("type", "job.added,job.started"), ("queue", "a")]


@pytest.mark.parametrize("breaks", [True, False])
def test_events_go_on_after_a_break_with_the_last_one_seen(stub: Stub, breaks: bool) -> None:
    stub.on(
        "/v1/events",
        events(event(5, "job.added"), b"id: 6\nevent: job.added\n", breaks=breaks),
        problem(503, "Stopping."),
        events(event(6, "job.started"), event(7, "job.completed")),
    )
    found = stub(TAKE % "events(lastEventId: '4')", count=3)
    assert [(event["id"], event["type"]) for event in found] == [
        ("5", "job.added"),
        ("6", "job.started"),
        ("7", "job.completed"),
    ]
    assert [request.header("Last-Event-ID") for request in stub.of("/v1/events")] == ["4", "5", "5"]


def test_events_of_a_job_end_when_it_is_final(stub: Stub) -> None:
    def pieces() -> Iterator[bytes]:
        yield event(1, "job", id=7, state="running")
        yield event(2, "job.retrying", state="scheduled")
        yield event(3, "job.completed", state="completed")
        yield event(4, "job.added", state="available")

    stub.on("/v1/jobs/7/events", Reply(200, pieces=pieces, is_chunked=True, close=True))
    found = stub("return array_column(iterator_to_array($queue->jobEvents(7), false), 'type');")
    assert found == ["job", "job.retrying", "job.completed"]


def test_events_of_no_job_are_an_error(stub: Stub) -> None:
    stub.on("/v1/jobs/7/events", problem(404, "There is no job 7"))
    with pytest.raises(Thrown, match="NotFound: There is no job 7"):
        stub("foreach ($queue->jobEvents(7) as $event) { }")


def test_events_that_never_come_back_are_an_error(stub: Stub) -> None:
    stub.on("/v1/events", events(event(1, "job.added")), events())
    with pytest.raises(Thrown, match="Unreachable: The server has ended the events"):
        stub.php(retries=2)("foreach ($queue->events() as $event) { }")
    assert len(stub.of("/v1/events")) == 3
