"""Events as they happen, over broken connections and restarts of the server."""

from collections.abc import Mapping
from typing import Any

import msgspec

from queue_server.client import calls
from queue_server.client.asking import pause_after, pauses
from queue_server.client.errors import ForeignAnswer, Unavailable, Unreachable
from queue_server.client.event_stream import Frame, FrameParser
from queue_server.client.exchange import Exchange, Item, Pause, chunks, opened
from queue_server.client.results import Event, Job, decode

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


def watched(job_id: int | None, query: Mapping[str, Any], last_event_id: str) -> Exchange[None]:
    """The events, of one job until it has ended, or of all for ever. It resumes after the last one seen.

    An error of the first connection is told; later ones are waited out.
    """
    had_answer = False
    waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    while True:
        request = calls.events(job_id, query, last_event_id)
        parser = FrameParser(last_event_id)
        wished: float | None = 0.0
        try:
            yield from opened(request)
            had_answer = True
            if (yield from _told(parser, ends_with_job=job_id is not None)):
                return
        except (Unreachable, Unavailable, ForeignAnswer) as error:
            wished = pause_after(error, request, 0.0)
            if wished is None or not had_answer:
                raise
        if parser.last_id != last_event_id:
            last_event_id, waits = parser.last_id, pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        yield Pause(min(max(next(waits), wished), LONGEST_PAUSE_S))


def _told(parser: FrameParser, *, ends_with_job: bool) -> Exchange[bool]:
    """The events of an open stream; whether that of the job's end was among them."""
    while (data := (yield from chunks())) is not None:
        for frame in parser.feed(data):
            event = event_of(frame)
            yield Item(event)
            if ends_with_job and event.is_final:
                return True
    return False


def event_of(frame: Frame) -> Event:
    """The frame as an event; ForeignAnswer if it is none."""
    data = frame.data.encode()
    try:
        match frame.event:
            case "reset":
                return Event(type="reset", id=frame.id, raw=data)
            case "job":
                return _with_job(decode(data, Job), frame.id)
            case _:
                return msgspec.structs.replace(decode(data, Event), id=frame.id)
    except msgspec.MsgspecError:
        raise ForeignAnswer(f"an event of type {frame.event!r} is not one of a Queue Server") from None


def _with_job(job: Job, event_id: str) -> Event:
    shared = ("state", "queue", "context", "key", "attempt", "outcome", "exit_code", "error", "reason", "raw")
    return Event(type="job", id=event_id, job_id=job.id, job=job, **{name: getattr(job, name) for name in shared})
