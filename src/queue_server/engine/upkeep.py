"""How often a node does what is enough for one node of a cluster: the more nodes there are, the more seldom each.

Nobody is chosen for it: all take turns at times of their own. So it goes on whichever nodes are gone.
"""

import asyncio
from collections.abc import Awaitable, Callable

from queue_server.domain.errors import StoreError
from queue_server.engine.outage import Outage
from queue_server.store.contract import Store

STEP_S = 1.0
"""How long after another node has gone this one sees it."""


class Upkeep:
    """Turns of parts, spread by `chance` where there are other nodes. A turn that fails is told to `outage`."""

    def __init__(self, store: Store, chance: Callable[[], float], outage: Outage) -> None:
        self._store = store
        self._chance = chance
        self._outage = outage

    async def run(
        self, part: Callable[[], Awaitable[object]], every_s: float, wake: asyncio.Event | None = None
    ) -> None:
        """Have the cluster do a part once in so many seconds until cancelled; here also whenever `wake` is set."""
        wake = wake or asyncio.Event()
        while True:
            wake.clear()
            try:
                await part()
            except StoreError as error:
                self._outage.noticed(error)
            await self._pause(every_s, wake)

    async def _pause(self, every_s: float, wake: asyncio.Event) -> None:
        """Pause, but no longer once a node has gone: what it left is not to wait for anybody's turn.

        Nodes that have joined meanwhile count, too: a node that is started again soon must not hide the one it was.
        """
        nodes, rest = self._store.nodes, self.pause_s(every_s)
        while rest > 0 and (seen := self._store.nodes) >= nodes and not wake.is_set():
            nodes = seen
            step = min(rest, STEP_S) if self._store.is_shared else rest
            rest -= step
            try:
                async with asyncio.timeout(step):
                    await wake.wait()
            except TimeoutError:
                pass

    def pause_s(self, every_s: float) -> float:
        """How long this node pauses where the cluster has a turn every so many seconds."""
        return every_s * self._store.nodes * (0.5 + self._chance()) if self._store.is_shared else every_s
