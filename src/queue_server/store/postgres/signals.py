"""LISTEN and NOTIFY, so that other nodes look at the right time and not only each second.

A signal is a hint: what it is about is in the database, and whoever misses it finds it with the next look. It is never
sent in a transaction that writes jobs: PostgreSQL commits those that notify one after the other. Signals that come
together are one.
"""

import asyncio
import contextlib
from collections.abc import Callable

from queue_server.store.postgres.address import Address
from queue_server.store.postgres.session import PLAIN, Session, connect

CHANNEL = "queue_server"
PAUSE_S = 0.01
"""Between two signals of a node."""

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 10.0


class Signals:
    """The signals of a node, on a connection of their own. They work or they don't; nothing depends on them."""

    def __init__(self, address: Address, on_arrival: Callable[[int], None], on_other: Callable[[], None]) -> None:
        self._address = address
        self._on_arrival = on_arrival
        self._on_other = on_other
        self._node_id = 0
        self._arrival: int | None = None
        self._has_other = False
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, node_id: int) -> None:
        """Listen and send from now on."""
        self._node_id = node_id
        if self._task is None and self._address.listens:
            self._task = asyncio.create_task(self._run(), name="signals")

    async def stop(self) -> None:
        """Do no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def tell_arrival(self, run_at: int) -> None:
        """Jobs may run, the first at `run_at`."""
        self._arrival = run_at if self._arrival is None else min(run_at, self._arrival)
        self._woken.set()

    def tell_other(self) -> None:
        """Something else is to be seen: a wish, a message."""
        self._has_other = True
        self._woken.set()

    async def _run(self) -> None:
        backoff = FIRST_BACKOFF_S
        while True:
            with contextlib.suppress(Exception):  # without signals the looks go on
                session = await connect(self._address, PLAIN)
                try:
                    await session.listen(CHANNEL, self._hear)
                    session.on_loss(self._woken.set)
                    backoff = FIRST_BACKOFF_S
                    await self._send_all(session)
                finally:
                    await session.close()
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, LONGEST_BACKOFF_S)

    async def _send_all(self, session: Session) -> None:
        while not session.is_closed:
            await self._woken.wait()
            self._woken.clear()
            arrival, has_other = self._arrival, self._has_other
            self._arrival, self._has_other = None, False
            if arrival is not None:
                await session.run("notify", CHANNEL, f"{self._node_id} {arrival}")
            if has_other:
                await session.run("notify", CHANNEL, str(self._node_id))
            await asyncio.sleep(PAUSE_S)

    def _hear(self, text: str) -> None:
        sender, _, run_at = text.partition(" ")
        if sender == str(self._node_id):
            return
        if run_at.lstrip("-").isdecimal():
            self._on_arrival(int(run_at))
        else:
            self._on_other()
