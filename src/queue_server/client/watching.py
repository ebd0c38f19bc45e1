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
        try:
            yield from opened(request)
            had_answer = True
            while (data := (yield from chunks())) is not None:
                for frame in parser.feed(data):
                    last_event_id = frame.id
                    event = event_of(frame)
                    waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
                    yield Item(event)
                    if job_id is not None and event.is_final:
                        return
        except (Unreachable, Unavailable, ForeignAnswer) as error:
            if not had_answer or pause_after(error, request, 0.0) is None:
                raise
        yield Pause(next(waits))


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
