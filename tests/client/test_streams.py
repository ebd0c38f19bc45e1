"""Events and outputs that are followed."""

from itertools import pairwise
from typing import Any

import pytest

from queue_server.client import ForeignAnswer, NotFound, Unreachable
from queue_server.client.event_stream import Frame, FrameParser
from tests.cli.stub_server import Answer, Stub, events, job, of, problem
from tests.client.talking import AsyncTalk, SyncTalk, Talk


def event(job_id: int, state: str, **members: object) -> dict[str, Any]:
    return {"type": f"job.{state}", "job_id": job_id, "state": state, "at": "2026-11-24T09:30:00.000000Z", **members}


def told(text: bytes, *cuts: int) -> list[Frame]:
    """The frames of the text when it comes in pieces that end at these places."""
    parser = FrameParser()
    bounds = pairwise([0, *cuts, len(text)])
    return [frame for start, end in bounds for frame in parser.feed(text[start:end])]


def test_frames_are_the_same_wherever_their_bytes_are_cut() -> None:
    first = "id: 5\nevent: job.added\ndata: {“a”:\ndata:  1}\n\n: ping\n\n"
    text = f"{first}id: 6\r\ndata:x\r\nnew: y\r\n\r\nevent: z\n\n".encode()
    frames = [Frame("job.added", "{“a”:\n 1}", "5"), Frame("message", "x", "6"), Frame("z", "", "6")]
    for cut in range(len(text)):
        assert told(text, cut) == frames


def test_an_unfinished_frame_is_none() -> None:
    assert told(b"data: 1\n") == []


def test_events_come_typed_and_filtered(talk: Talk, stub: Stub) -> None:
    stub.tell(
        "GET /v1/events",
        events(("job.completed", "a", event(7, "completed", queue="mails", exit_code=200, new=1)), ("reset", "b", {})),
    )
    stream = talk.items("events", type=["job.completed", "job.failed"], queue="mails")
    first, second = next(stream), next(stream)
    stream.close()
    assert (first.id, first.type, first.job_id, first.exit_code, first.is_final) == ("a", "job.completed", 7, 200, True)
    assert b'"new"' in first.raw
    assert (second.id, second.type, second.job_id) == ("b", "reset", None)
    assert stub.asked[0].query == {"type": "job.completed,job.failed", "queue": "mails"}
    assert stub.asked[0].headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("breaks", [True, False])
def test_a_stream_that_ends_is_taken_up_after_the_last_event(talk: Talk, stub: Stub, breaks: bool) -> None:
    stub.tell(
        "GET /v1/events",
        events(("job.added", "a", event(7, "added")), breaks=breaks),
        problem(503, "stopping"),
        Answer(200, b"", breaks=True),
        events(("job.added", "b", event(8, "added")), breaks=breaks),
    )
    stream = talk.items("events", last_event_id="z")
    assert [next(stream).job_id for _ in range(2)] == [7, 8]
    stream.close()
    assert [asked.headers.get("last-event-id") for asked in stub.asked] == ["z", "a", "a", "a"]


def test_an_event_that_broke_off_is_told_again(talk: Talk, stub: Stub) -> None:
    whole = events(("job.added", "a", event(7, "added")), ("job.added", "b", event(8, "added")))
    assert whole.pieces
    cut = Answer(200, b"", whole.headers, (whole.pieces[0], whole.pieces[1][:-1]), breaks=True)
    stub.tell("GET /v1/events", cut, events(("job.added", "b", event(8, "added")), breaks=True))
    stream = talk.items("events")
    assert [next(stream).job_id for _ in range(2)] == [7, 8]
    stream.close()
    assert stub.asked[1].headers["last-event-id"] == "a"


def test_the_events_of_a_job_end_with_it(talk: Talk, stub: Stub) -> None:
    first = events(
        ("job", "a", job(7, "running")), ("job.retrying", "b", event(7, "scheduled", type="job.retrying")), breaks=True
    )
    last = events(("job", "b", job(7, "running")), ("job.completed", "c", event(7, "completed")))
    stub.tell("GET /v1/jobs/7/events", first, last)
    seen = list(talk.items("events", 7))
    assert [event.type for event in seen] == ["job", "job.retrying", "job", "job.completed"]
    assert seen[0].job
    assert (seen[0].job_id, seen[0].state, seen[0].job.type) == (7, "running", "http")
    assert len(stub.asked) == 2


def test_the_events_of_a_job_that_has_ended_are_the_job(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7/events", events(("job", "a", job(7))))
    assert [event.state for event in talk.items("events", 7)] == ["completed"]


def test_a_stream_that_never_opened_is_an_error(talk: Talk, stub: Stub) -> None:
    with pytest.raises(NotFound, match="there is no job 7"):
        next(talk.items("events", 7))
    stub.tell("GET /v1/events", Answer(200, b'event: x\ndata: {"no": 1}\n\n'))
    with pytest.raises(ForeignAnswer):
        next(talk.items("events"))


@pytest.mark.parametrize("kind", [SyncTalk, AsyncTalk])
def test_a_stream_of_nobody_is_unreachable(kind: type[SyncTalk]) -> None:
    with kind("http://127.0.0.1:9") as talk:
        for method, arguments in (("events", ()), ("follow_output", (7,))):
            with pytest.raises(Unreachable):
                next(talk.items(method, *arguments))


NO_MORE = of({"title": "Range Not Satisfiable", "status": 416}, 416)


def pieces(*texts: bytes, breaks: bool = False) -> Answer:
    return Answer(200, b"", {}, texts, breaks)


def ranges(stub: Stub) -> list[str | None]:
    return [asked.headers.get("range") for asked in stub.asked if asked.path.endswith("output")]


def test_an_output_is_followed_through_all_attempts(talk: Talk, stub: Stub) -> None:
    looks = [job(7, "running"), job(7, "scheduled", attempt=1), job(7, "completed", attempt=2)]
    stub.tell("GET /v1/jobs/7", *map(of, looks))
    stub.tell("GET /v1/jobs/7/output", pieces(b"first ", b"try\n"), NO_MORE, pieces(b"second\n"), NO_MORE)
    assert b"".join(talk.items("follow_output", 7, stream="stderr")) == b"first try\nsecond\n"
    queries = [asked.query for asked in stub.asked if "follow" in asked.query]
    assert queries == [{"stream": "stderr", "attempt": number, "follow": "1"} for number in ("1", "2")]
    assert ranges(stub) == [None, "bytes=10-", None, "bytes=7-"]


def test_an_output_that_breaks_off_goes_on_where_it_was(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "running")), of(job(7, "running")), of(job(7)))
    stub.tell("GET /v1/jobs/7/output", pieces(b"one\n", b"tw", breaks=True), pieces(b"one", b"\ntwo\nthree"), NO_MORE)
    assert b"".join(talk.items("follow_output", 7)) == b"one\ntwo\nthree"


def test_what_a_server_that_stopped_kept_back_is_read_at_the_end(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "running")), of(job(7)))
    stub.tell("GET /v1/jobs/7/output", pieces(b"one\n"), Answer(206, b"two\n"))
    assert b"".join(talk.items("follow_output", 7)) == b"one\ntwo\n"
    assert ranges(stub) == [None, "bytes=4-"]


def test_one_attempt_is_followed_alone(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "failed", attempt=3)))
    stub.tell("GET /v1/jobs/7/output", pieces(b"x"), NO_MORE)
    assert list(talk.items("follow_output", 7, attempt=2)) == [b"x"]


def test_a_job_that_never_ran_has_no_output_to_follow(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "cancelled", attempt=0)))
    assert list(talk.items("follow_output", 7)) == []
