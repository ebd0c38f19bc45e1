"""Gives back jobs that were claimed for this node without its knowing: the database's answer to the claim was lost.

Nobody else does: a living node's jobs are never rescued.
"""

import asyncio

from queue_server.domain.errors import StoreError
from queue_server.domain.job import Job
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.engine.dispatcher import Dispatcher
from queue_server.engine.outage import Outage
from queue_server.engine.rescuer import PAGE, Rescuer
from queue_server.store.contract import Store

LOOK_S = 15.0
"""The database may carry out a claim long after its node was told that it was lost, so there is no last look."""

STRAYED = Outcome(OutcomeKind.INTERRUPTED, error="given back: the database's answer to its claim was lost")


class Strays:
    """Looks for such jobs."""

    def __init__(self, store: Store, node_id: int, dispatcher: Dispatcher, rescuer: Rescuer, outage: Outage) -> None:
        self._store = store
        self._node_id = node_id
        self._dispatcher = dispatcher
        self._rescuer = rescuer
        self._outage = outage

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.give_back()
            except StoreError as error:
                self._outage.noticed(error)

    async def give_back(self) -> int:
        """Give back all that there are now; how many."""
        return await self._rescuer.end_all(lambda _now: self._found(), lambda _job, _now: STRAYED)

    async def _found(self) -> list[Job]:
        unknown = await self._store.strays(self._node_id, self._dispatcher.held, PAGE)
        return [job for job in unknown if self._dispatcher.is_stray(job)]
