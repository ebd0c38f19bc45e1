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
