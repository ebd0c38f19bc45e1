"""Deleting what is old, in small pages, each with its own transaction.

Ended jobs stay in the job table until then. What a page leaves of dead rows in each table, autovacuum clears.
"""

from collections.abc import Mapping

from queue_server.domain.state import State
from queue_server.store.limits import OPERATIONS_KEPT, PURGE_SLACK
from queue_server.store.postgres.pool import Pool

BEGINNING = 0


class Purging:
    """Deletes pages. Knows for each state up to where all is deleted.

    Jobs with their own retention stay where they are: of a million of them each page would otherwise read all.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._clean_to: dict[State, int] = {}

    async def page(self, ended_before: Mapping[State, int], now: int, limit: int) -> int:
        """See Store.purge. What other nodes are deleting is left to them."""
        deleted = 0
        for state, before in ended_before.items():
            deleted += await self._ended(state, before, limit - deleted)
            if deleted < limit:
                self._clean_to[state] = max(BEGINNING, before - PURGE_SLACK)
        deleted += (await self._pool.rows("purge_kept", now, limit - deleted))[0][0]
        deleted += await self._pool.run("delete_once", now, limit - deleted)
        deleted += await self._pool.run("delete_operations", now - OPERATIONS_KEPT, limit - deleted)
        return deleted

    async def _ended(self, state: State, before: int, limit: int) -> int:
        start = self._clean_to.get(state, BEGINNING)
        return (await self._pool.rows("purge", state, start, before, limit))[0][0]
