"""The only place that asks the machine for the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Time as the rest of the program sees it, so that tests can bring their own."""

    def now(self) -> int:
        """Microseconds since 1970 UTC. May jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back, for durations."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        return time.time_ns() // 1000  # noqa: TID251 (this is the place)

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


class ServerClock(SystemClock):
    """The machine's clocks, until a database tells its time: from then on that one, carried on by a steady clock.

    So all nodes of a database agree on what time it is, and nobody's `date -s` moves a lease.
    """

    def __init__(self) -> None:
        self._ahead: int | None = None

    def now(self) -> int:
        """Microseconds since 1970 UTC, of the database where it has told them."""
        ahead = self._ahead
        return super().now() if ahead is None else ahead + _steady_us()

    def follow(self, told: int, asked_at: int) -> None:
        """The database has said that it is `told`, in answer to a question asked at `asked_at` of `steady`.

        It said so at some moment between the question and now. Where what is known fits that, it stays: time does not
        jitter with the answers, and one that took long changes little. Else it moves no further than it must.
        """
        least, most = told - _steady_us(), told - asked_at
        known = (least + most) // 2 if self._ahead is None else self._ahead
        self._ahead = min(max(known, least), most)

    @staticmethod
    def steady() -> int:
        """Microseconds on a clock that nobody sets, and that goes on while the machine sleeps."""
        return _steady_us()


def _steady_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
