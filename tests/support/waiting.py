"""Waiting for facts of the outside world that nobody tells us of."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(ask: Callable[[], T], within_s: float = 10, what: str = "it") -> T:
    """The first true answer; AssertionError when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not come true within {within_s} s"
        time.sleep(0.01)
    return answer
