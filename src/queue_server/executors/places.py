"""Places for commands: so many run at once, and while they are short, a few more are kept at hand.

A command of a millisecond leaves its place empty for as long as the store takes to hand out the next. While commands
are short, the engine may therefore claim some ahead; they wait here. One that waits too long, because the commands
before it turned out to be long, is put off: it goes back to the store without having run.
"""

import asyncio
import itertools
from collections.abc import Callable

BRISK_S = 0.02
"""Commands that take less on average are worth having more of at hand (docs/decisions/0012)."""

AHEAD_FACTOR = 3
PATIENCE_S = 0.25
WEIGHT = 0.1


class Places:
    """`count` places, taken in the order of asking."""

    def __init__(self, count: int, monotonic: Callable[[], float]) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._monotonic = monotonic
        self._average_s = BRISK_S
        self._tickets = itertools.count()
        self._started: dict[int, float] = {}

    async def take(self) -> int | None:
        """Wait for a place; its ticket for `leave`, or None if no place became free for a while."""
        if self._free.locked():
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._free.acquire()
            except TimeoutError:
                return None
        else:
            await self._free.acquire()
        ticket = next(self._tickets)
        self._started[ticket] = self._monotonic()
        return ticket

    def leave(self, ticket: int) -> None:
        """Give the place up."""
        took = self._monotonic() - self._started.pop(ticket)
        self._average_s += WEIGHT * (took - self._average_s)
        self._free.release()

    def ahead(self) -> int:
        """How many more jobs than places are worth having at hand now."""
        if self._average_s >= BRISK_S or self._longest_s() > PATIENCE_S / 2:
            return 0
        return AHEAD_FACTOR * self._count

    def _longest_s(self) -> float:
        oldest = next(iter(self._started.values()), None)
        return 0.0 if oldest is None else self._monotonic() - oldest
