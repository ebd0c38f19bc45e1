"""The bytes of an event stream (WHATWG HTML, section 9.2.6). Data is always one line of JSON."""

from functools import lru_cache
from typing import Any

import msgspec

from queue_server.domain.instants import rfc3339
from queue_server.domain.state import State
from queue_server.telemetry.events.event import EventType, JobEvent

RECONNECT_MS = 1000
PING = b": ping\n\n"
SECOND = 1_000_000

_encode = msgspec.json.Encoder().encode

NAMES = {type_: type_.encode() for type_ in EventType} | {state: state.encode() for state in State}
FRAME = b'%b%d\nevent: %b\ndata: {"type":"%b","job_id":%d,"state":"%b","at":"%b.%06dZ",%b\n\n'


class EventView(msgspec.Struct, frozen=True):
    """The data of an event. An `error` or `reason` is cut to 1,000 characters."""

    type: EventType
    job_id: int
    state: State
    at: str
    queue: str
    context: str
    key: str | None
    attempt: int
    outcome: str | None
    exit_code: int | None
    error: str | None
    reason: str


class _Rest(msgspec.Struct, frozen=True, gc=False):
    """What an EventView shares with most others."""

    queue: str
    context: str
    key: str | None
    attempt: int
    outcome: str | None
    exit_code: int | None
    error: str | None
    reason: str


class Frames:
    """Makes the frames of one run of the server: an event's id is `<run>-<number>`."""

    def __init__(self, run: str) -> None:
        self._prefix = f"{run}-"
        self._id = f"id: {run}-".encode()

    def event(self, number: int, event: JobEvent) -> bytes:
        """An event of a job, with an EventView as data; put together of what events share, at half the price."""
        second, micros = divmod(event.at, SECOND)
        name = NAMES[event.type]
        return FRAME % (
            self._id,
            number,
            name,
            name,
            event.job_id,
            NAMES[event.state],
            _second(second),
            micros,
            _encoded_rest(
                _Rest(
                    event.queue,
                    event.context,
                    event.key,
                    event.attempt,
                    event.outcome,
                    event.exit_code,
                    event.error,
                    event.reason,
                )
            ),
        )

    def other(self, number: int, name: str, data: Any) -> bytes:
        """Something else to be told after event `number`; `data` is what JSON can hold."""
        return b"%b%d\nevent: %b\ndata: %b\n\n" % (self._id, number, name.encode(), _encode(data))

    def opening(self, number: int) -> bytes:
        """The beginning of a stream that starts after event `number`: how soon to come back, and where to resume."""
        return b"retry: %d\n%b%d\n\n" % (RECONNECT_MS, self._id, number)

    def number_of(self, id_: str) -> int | None:
        """The number in an id of this run; None if it is none."""
        digits = id_.removeprefix(self._prefix)
        if digits == id_ or not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            return None
        return int(digits)


def run_name(started_at: int) -> str:
    """A short name for a run of the server that started at this time (µs)."""
    return format(started_at // 1000, "x")


@lru_cache(maxsize=64)
def _second(second: int) -> bytes:
    return (rfc3339(second * SECOND) or "")[: len("2026-11-24T09:30:00")].encode()


@lru_cache(maxsize=256)
def _encoded_rest(rest: _Rest) -> bytes:
    return _encode(rest)[1:]
