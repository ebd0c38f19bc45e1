"""The rows of nodes, and the heartbeat that keeps this node's lease."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreUnavailable
from queue_server.store.contract import Node
from queue_server.store.mysql.connection import Connection
from queue_server.store.mysql.faults import text_of
from queue_server.store.mysql.transaction import QUERIES, Transaction

BEAT_LIMIT_S = 3.0


async def register(transaction: Transaction, name: str, slots: int, now: int) -> Node:
    """See Store.register."""
    node_id = await transaction.insert("insert_node", name, slots, now, now)
    return Node(node_id, name, slots, now)


async def delete_dead_nodes(transaction: Transaction, before: int) -> None:
    """Remove nodes that have been silent since `before` and have no jobs left to be rescued."""
    for (node_id,) in await transaction.rows("silent_nodes", before):
        if not await transaction.rows("has_running_jobs", node_id):
            await transaction.run("delete_node", node_id)


class MysqlHeartbeat:
    """See Heartbeat. It has a connection and an event loop of its own, which nothing else can hold up."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], clock: ServerClock, node: Node) -> None:
        self._connect = connect
        self._clock = clock
        self._node = node
        self._runner = asyncio.Runner()
        self._running = threading.Lock()
        self._connection: Connection | None = None
        self._has_ended = False

    def beat(self, now: int) -> None:
        """See Heartbeat.beat. A node whose row somebody has deleted is added again."""
        with self._running:
            if self._has_ended:
                raise StoreUnavailable("the node has stopped")
            self._runner.run(self._beat_in_time(now))

    def end(self) -> None:
        """Beat no more, and let go of the connection. Blocks while a beat is under way; not for event loops."""
        with self._running:
            if not self._has_ended:
                self._has_ended = True
                self._runner.run(self._let_go())
                self._runner.close()

    async def _beat_in_time(self, now: int) -> None:
        try:
            async with asyncio.timeout(BEAT_LIMIT_S):
                await self._beat(now)
        except Exception as error:  # noqa: BLE001 (whatever it is, the next beat begins anew)
            if self._connection is not None:
                self._connection.drop()
                self._connection = None
            raise StoreUnavailable(f"the database did not take the heartbeat: {text_of(error)}") from None

    async def _beat(self, now: int) -> None:
        if self._connection is None:
            self._connection = await self._connect()
        node = self._node
        beat = await self._connection.run(QUERIES["beat"], (now, node.id))
        if not beat.affected_rows:
            values = (node.id, node.name, node.slots, node.started_at, now, now)
            await self._connection.run(QUERIES["restore_node"], values)
        await self._connection.tell_time(self._clock)

    async def _let_go(self) -> None:
        if self._connection is not None:
            await self._connection.close()
