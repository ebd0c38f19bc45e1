"""The numbers of jobs.

Each transaction that moves jobs inserts how many came to which state and left it: nobody waits for another's row. The
sum of all rows is the truth; `run` adds them up about every second while there is something new.
"""

import asyncio
from collections.abc import Mapping

from queue_server.clock import Clock
from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.domain.state import State
from queue_server.store.mistakes import report
from queue_server.store.postgres.address import Address
from queue_server.store.postgres.faults import is_duplicate
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import PLAIN, Session

FOLD_S = 1.0
DEAD_NODE_KEPT_US = 3600 * 1_000_000
"""How long the row of a node stays that is gone, so that people can see it."""

FOLDS_PER_BURIAL = 60


class Counting:
    """The counts of a store, and the task that keeps them cheap."""

    def __init__(self, address: Address, reading: Pool, writing: Pool, upkeep: Pool, clock: Clock) -> None:
        self._address = address
        self._reading = reading
        self._writing = writing
        self._upkeep = upkeep
        self._clock = clock
        self._is_counting_contexts = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Add up from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="fold")

    async def stop(self) -> None:
        """Add up no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def counts(self) -> Mapping[State, int]:
        """See Store.counts."""
        return dict.fromkeys(State, 0) | {State(state): count for state, count in await self._reading.rows("count")}

    async def count_contexts(self) -> None:
        """See Store.count_contexts: makes an index, unless there is one; the nodes go on while it is built."""
        pool = Pool(self._address, PLAIN | {"lock_timeout": "0"}, 1)
        try:
            await pool.do(_make_waiting_index)
        finally:
            await pool.close()
        self._is_counting_contexts = True

    async def waiting_in(self, context: str, limit: int) -> int:
        """See Store.waiting_in."""
        if not self._is_counting_contexts:
            raise StoreError("the waiting jobs of contexts are not counted")
        return (await self._reading.rows("waiting_in", context, limit))[0][0]

    async def fold(self) -> None:
        """Add up what there is."""
        await self._upkeep.run("fold")

    async def _run(self) -> None:
        folds, seen = 0, -1
        while True:
            await asyncio.sleep(FOLD_S)
            if self._writing.works == seen:
                continue
            try:
                works = self._writing.works
                if (await self._upkeep.rows("is_unfolded"))[0][0]:
                    await self.fold()
                if folds % FOLDS_PER_BURIAL == 0:
                    await self._upkeep.run("delete_dead_nodes", self._clock.now() - DEAD_NODE_KEPT_US)
                folds, seen = folds + 1, works
            except StoreUnavailable:
                pass  # it is tried again a second later
            except StoreError as error:
                report("adding up the counts", error)


async def _make_waiting_index(session: Session) -> None:
    found = await session.rows("has_waiting_index")
    if found and found[0][0]:
        return
    try:
        if found:
            await session.run("drop_waiting_index")
        await session.run("make_waiting_index")
    except Exception as error:
        if not is_duplicate(error):  # else another node has begun to make it at the same time
            raise
