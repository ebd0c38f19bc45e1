"""How many jobs of a context wait: an index of the database tells, which is made when somebody wants to know."""

from collections.abc import Awaitable, Callable

from queue_server.domain.errors import StoreError
from queue_server.store.mysql.connection import Connection
from queue_server.store.mysql.faults import number_of, translated
from queue_server.store.mysql.transaction import QUERIES

DUPLICATE_INDEX = 1061


class WaitingContexts:
    """Counts, once `watch` has been called. `connect` gives a connection without time limits."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._is_watching = False

    async def watch(self) -> None:
        """See Store.count_contexts. With many jobs this takes as long as they take to be read."""
        if self._is_watching:
            return
        try:
            connection = await self._connect()
            try:
                await _make_index(connection)
            finally:
                await connection.close()
        except Exception as error:  # noqa: BLE001 (translated)
            raise translated(error) from None
        self._is_watching = True

    async def of(self, connection: Connection, context: str, limit: int) -> int:
        """See Store.waiting_in."""
        if not self._is_watching:
            raise StoreError("the waiting jobs of contexts are not counted")
        ((count,),) = await connection.rows(QUERIES["waiting_in"], (context, limit))
        return count


async def _make_index(connection: Connection) -> None:
    ((is_there,),) = await connection.rows(QUERIES["has_waiting_index"])
    if is_there:
        return
    try:
        await connection.run(QUERIES["make_waiting_index"])
    except Exception as error:
        if number_of(error) != DUPLICATE_INDEX:  # another node was faster
            raise
