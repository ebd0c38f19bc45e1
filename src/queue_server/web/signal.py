"""As much of asyncio.Event as a request needs, at a third of the cost: each request has one."""

import asyncio
from typing import Literal


class Signal:
    """Is set or not, and can be waited for. Belongs to the event loop of whoever waits."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """Whether it is."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake whoever waits."""
        self._is_set = True
        if self._waiters is not None:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters = None

    def clear(self) -> None:
        """Set it no more."""
        self._is_set = False

    async def wait(self) -> Literal[True]:
        """Return as soon as it is set."""
        if not self._is_set:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            await waiter
        return True
