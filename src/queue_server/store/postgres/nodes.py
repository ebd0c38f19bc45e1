"""Nodes, and their heartbeat in a thread of its own, with a connection of its own."""

# pyright: reportMissingTypeStubs=false

import asyncio
import threading

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreUnavailable
from queue_server.store.contract import Node
from queue_server.store.postgres.address import Address
from queue_server.store.postgres.faults import translated
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import PLAIN, Session, connect

BEAT_TIMEOUT_S = 3.0


class Nodes:
    """The nodes that are this process, and their heartbeats."""

    def __init__(self, pool: Pool, address: Address, clock: ServerClock) -> None:
        self._pool = pool
        self._address = address
        self._clock = clock
        self._nodes: dict[int, Node] = {}
        self._heartbeats: list[PostgresHeartbeat] = []
        self._is_closed = False
        self.wants_messages = False

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._nodes

    async def register(self, name: str, slots: int, now: int) -> Node:
        """See Store.register."""
        node_id = (await self._pool.rows("insert_node", name, slots, now))[0][0]
        node = self._nodes[node_id] = Node(node_id, name, slots, now)
        return node

    async def deregister(self, node_id: int) -> None:
        """See Store.deregister."""
        await self._pool.run("delete_node", node_id)
        self._nodes.pop(node_id, None)

    async def total_slots(self, now: int, lease: int) -> int:
        """See Store.total_slots."""
        return (await self._pool.rows("total_slots", now - lease))[0][0]

    def heartbeat(self, node_id: int) -> "PostgresHeartbeat":
        """See Store.heartbeat."""
        one = PostgresHeartbeat(self, self._nodes.get(node_id), self._address, self._clock)
        self._heartbeats.append(one)
        if self._is_closed:
            one.close()
        return one

    async def close(self) -> None:
        """Have no heartbeat go on. Their threads have ended, or wait for no more than one beat."""
        self._is_closed = True
        for one in self._heartbeats:
            await asyncio.to_thread(one.close)


class PostgresHeartbeat:
    """See Heartbeat. Nothing of it is the event loop's: a loop that stalls must not lose the lease."""

    def __init__(self, nodes: Nodes, node: Node | None, address: Address, clock: ServerClock) -> None:
        self._nodes = nodes
        self._node = node
        self._address = address
        self._clock = clock
        self._lock = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._session: Session | None = None
        self._is_closed = False

    def beat(self, now: int) -> None:
        """See Heartbeat.beat. A row that somebody has deleted comes back."""
        with self._lock:
            if self._is_closed or self._node is None:
                raise StoreUnavailable("the store is closed")
            if self._runner is None:
                self._runner = asyncio.Runner()
            self._runner.run(self._beat(self._node, now))

    def close(self) -> None:
        """Let go of the connection. Blocks while a beat is under way."""
        with self._lock:
            self._is_closed = True
            if self._runner is not None:
                if self._session is not None:
                    self._runner.run(self._session.close())
                self._runner.close()
                self._runner = None

    async def _beat(self, node: Node, now: int) -> None:
        asked_at = self._clock.steady()
        try:
            async with asyncio.timeout(BEAT_TIMEOUT_S):
                told_at = await self._write(node, now)
        except Exception as error:  # noqa: BLE001 (all errors of the driver end here)
            if self._session is not None:
                self._session.terminate()
            self._session = None
            raise _unavailable(error) from None
        self._clock.follow(told_at, asked_at)

    async def _write(self, node: Node, now: int) -> int:
        if self._session is None or self._session.is_closed:
            self._session = await connect(self._address, PLAIN)
        values = (node.id, node.name, node.slots, node.started_at, now, self._nodes.wants_messages)
        return await self._session.value("beat", *values)


def _unavailable(error: Exception) -> StoreUnavailable:
    said = translated(error)
    return said if isinstance(said, StoreUnavailable) else StoreUnavailable(f"the heartbeat was not written: {said}")
