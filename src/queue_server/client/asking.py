"""Asking once more, where that is safe, when the server was busy or the connection broke."""

from collections.abc import Iterator
from time import monotonic
from typing import TypeVar

from queue_server.client.errors import ForeignAnswer, Unavailable, Unreachable
from queue_server.client.exchange import Call, Exchange, Pause, Request, sent

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
GATEWAY_STATUSES = (502, 503, 504)
"""What a proxy answers while the server behind it restarts."""

T = TypeVar("T")


def ask(call: Call[T], retry_for: float) -> Exchange[T]:
    """The result of the call. It is made again for up to `retry_for` seconds where that is safe and may help."""
    end = monotonic() + retry_for
    for pause in pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S):
        try:
            return call.read((yield from sent(call.request)))
        except (Unreachable, Unavailable, ForeignAnswer) as error:
            wished = pause_after(error, call.request, pause)
            if wished is None or monotonic() + wished > end:
                raise
        yield Pause(wished)
    raise AssertionError  # pauses never end


def pause_after(error: Exception, request: Request, pause: float) -> float | None:
    """Seconds until it makes sense to ask again; None if it makes none.

    A refused connection is told at once by a client that has never had an answer: its address is wrong, or nobody has
    started the server. One that has had answers sees a restart.
    """
    match error:
        case Unreachable(is_refused=True):
            return pause if error.was_reached else None
        case _ if not request.is_repeatable:
            return None
        case Unavailable():
            return max(pause, error.retry_after or 0)
        case Unreachable():
            return pause
        case ForeignAnswer(status=status) if status in GATEWAY_STATUSES:
            return pause
        case _:
            return None


def pauses(first: float, longest: float, growth: float = 2.0) -> Iterator[float]:
    """Seconds to wait, ever more; they never end."""
    pause = first
    while True:
        yield pause
        pause = min(pause * growth, longest)
