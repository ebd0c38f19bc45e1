"""What a node does for the database about every second while it writes: adding up counts, removing dead nodes."""

import asyncio
from collections.abc import Callable

from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.store.mistakes import report
from queue_server.store.mysql.counting import FOLD_PAGE, fold
from queue_server.store.mysql.nodes import delete_dead_nodes
from queue_server.store.mysql.pool import Pool

PAUSE_S = 1.0
NODES_KEPT = 3600 * 1_000_000
"""So long after its last sign of life a dead node's row is kept; longer while it has jobs that must be rescued."""


class Upkeep:
    """Runs from `start` to `stop`, in the event loop. `now` tells the database's time."""

    def __init__(self, pool: Pool, now: Callable[[], int]) -> None:
        self._pool = pool
        self._now = now
        self._seen = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="upkeep")

    async def stop(self) -> None:
        """End. What is under way is finished by the pool."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_S)
            if self._pool.commits != self._seen:
                try:
                    await self.tidy()
                except StoreUnavailable:
                    pass  # what is not done now is done in a second
                except StoreError as error:
                    report("adding up the counts", error)

    async def tidy(self) -> None:
        """Add up all counts, and remove nodes that died long ago."""
        while await self._pool.write(fold) == FOLD_PAGE:
            pass
        before = self._now() - NODES_KEPT
        await self._pool.write(lambda transaction: delete_dead_nodes(transaction, before))
        self._seen = self._pool.commits
