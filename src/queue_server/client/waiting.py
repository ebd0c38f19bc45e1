"""Waiting for an end: the server holds its answer back until there is one, for half a minute at a time."""

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from queue_server.client.asking import ask, pauses
from queue_server.client.errors import StillGoingOn
from queue_server.client.exchange import Call, Exchange, Pause
from queue_server.client.results import Job, Operation

LONGEST_QUESTION_S = 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S, GROWTH = 0.1, 1.0, 1.5

Ending = TypeVar("Ending", Job, Operation)


def ended(look: Callable[[float], Call[Ending]], timeout: float | None, retry_for: float) -> Exchange[Ending]:
    """What `look` sees once it is final; StillGoingOn when `timeout` seconds have passed before.

    A server that answers sooner than it was asked to is asked again after a pause.
    """
    end = float("inf") if timeout is None else monotonic() + timeout
    for pause in pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S, GROWTH):
        asked = monotonic()
        left = max(0.0, end - asked)
        seen = yield from ask(look(min(LONGEST_QUESTION_S, left)), min(retry_for, left))
        if seen.is_final:
            return seen
        now = monotonic()
        if now >= end:
            raise StillGoingOn(f"{_name(seen)} is still {seen.state} after {timeout:g} s", seen)
        if (rest := asked + pause - now) > 0:
            yield Pause(min(rest, end - now))
    raise AssertionError  # pauses never end


def _name(seen: Job | Operation) -> str:
    return f"{'job' if isinstance(seen, Job) else 'operation'} {seen.id}"
