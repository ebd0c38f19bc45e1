"""Reads what is kept in memory again once another node has changed it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from queue_server.domain.errors import StoreError

ANYWAY_S = 60.0
"""For a database that was brought back from a backup, or changed by hand."""

AGAIN_S = 1.0
"""After a failure: what has changed must not wait for the next change."""


class Changes(Protocol):
    """The part of a store that tells of changes."""

    def on_kept(self, listener: Callable[[], None]) -> None:
        """See Store.on_kept."""
        ...


class Rereading:
    """Reads `parts` again whenever the store says that they may have changed. While it is silent all stays as it is."""

    def __init__(self, changes: Changes, parts: Sequence[Callable[[], Awaitable[object]]]) -> None:
        self._parts = parts
        self._changed = asyncio.Event()
        changes.on_kept(self._changed.set)

    async def run(self, anyway_s: float = ANYWAY_S) -> None:
        """Read until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(anyway_s):
                    await self._changed.wait()
            self._changed.clear()
            try:
                for part in self._parts:
                    await part()
            except StoreError:
                self._changed.set()
                await asyncio.sleep(AGAIN_S)
