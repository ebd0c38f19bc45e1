"""The connections to the database: how many, lost ones and new ones, and transactions that are tried again.

Work is done in tasks of the pool's own: a caller who is cancelled does not take a commit back that has been sent.

While the database is lost everybody is told so at once, and one task tries to reach it again.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from queue_server.domain.errors import StoreUnavailable
from queue_server.store.fair_slots import FairSlots
from queue_server.store.postgres.address import Address
from queue_server.store.postgres.faults import is_conflict, is_lost, translated
from queue_server.store.postgres.session import Session, connect

T = TypeVar("T")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
PATIENCE_S = 3.0
"""How long work waits for a connection."""

CLOSE_TIMEOUT_S = 10.0
"""How long work that is under way may take when the pool is closed."""

WAITING_LIMIT = 10_000
"""Pieces of work that may wait for a connection."""

TRIES = 5
LONGEST_CONFLICT_PAUSE_S = 0.05


class Pool:
    """Up to `size` connections with the same settings, made when they are needed. Belongs to the event loop."""

    def __init__(self, address: Address, settings: dict[str, str], size: int) -> None:
        self._address = address
        self._settings = settings
        self._slots = FairSlots(size)
        self._waiting = 0
        self._idle: list[Session] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reconnecting: asyncio.Task[None] | None = None
        self._is_closed = False
        self.works = 0
        """How much has been done; whoever keeps up what work leaves behind sees from it that there was some."""
        self._chance = random.Random().random  # noqa: S311 (spreads retries; no secret)

    async def do(self, work: Callable[[Session], Awaitable[T]], *, begin: str | None = None) -> T:
        """What `work` returns, which it does in statements of their own, or in a transaction that starts with `begin`.

        StoreUnavailable where the database is lost or busy; whether work that had begun was done is unknown then.
        StoreError for what can't be stored.
        """
        return await asyncio.shield(self.start(self._do(work, begin)))

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """What `work` returns, done in one transaction."""
        return await self.do(work, begin="begin")

    async def rows(self, name: str, *values: Any) -> Any:
        """The rows that a query finds."""
        return await self.do(lambda session: session.rows(name, *values))

    async def run(self, name: str, *values: Any) -> int:
        """Run a query; how many rows it changed."""
        return await self.do(lambda session: session.run(name, *values))

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something in a task that `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Do what has been started, then let go of the connections."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                while tasks := [task for task in self._tasks if task is not self._reconnecting]:
                    await asyncio.wait(tasks)
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for session in self._idle:
            await session.close()
        self._idle.clear()

    async def _do(self, work: Callable[[Session], Awaitable[T]], begin: str | None) -> T:
        for tried in range(TRIES + 1):
            try:
                return await self._try(work, begin)
            except Exception as error:  # noqa: BLE001 (all errors of the driver end here)
                if not is_conflict(error) or tried == TRIES:
                    raise translated(error) from None
            await asyncio.sleep(self._chance() * LONGEST_CONFLICT_PAUSE_S)
        raise AssertionError

    async def _try(self, work: Callable[[Session], Awaitable[T]], begin: str | None) -> T:
        try:
            async with self._slot():
                session = await self._session()
                try:
                    result = await (work(session) if begin is None else session.transaction(work, begin))
                    session.check_replicated()
                except BaseException as error:
                    self._put_back(session, is_usable=not is_lost(error))
                    raise
                self.works += 1
                self._put_back(session)
        except Exception as error:
            if is_lost(error):
                self._lose()
            raise
        return result

    @asynccontextmanager
    async def _slot(self) -> AsyncGenerator[None]:
        """The right to use a connection, for which askers take turns."""
        self._check_reachable()
        if self._waiting >= WAITING_LIMIT:
            raise StoreUnavailable("the database can't keep up: too much is waiting for it")
        self._waiting += 1
        has_waited = False
        try:
            async with asyncio.timeout(PATIENCE_S) as patience, self._slots:
                patience.reschedule(None)
                has_waited, self._waiting = True, self._waiting - 1
                self._check_reachable()
                yield
        except TimeoutError:
            if has_waited:
                raise
            raise StoreUnavailable("the database can't keep up") from None
        finally:
            if not has_waited:
                self._waiting -= 1

    def check_open(self) -> None:
        """StoreUnavailable if nothing more is taken."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")

    def _check_reachable(self) -> None:
        self.check_open()
        if self._reconnecting is not None:
            raise StoreUnavailable("the database does not answer")

    async def _session(self) -> Session:
        while self._idle:
            session = self._idle.pop()
            if not session.is_closed:
                return session
        return await connect(self._address, self._settings)

    def _put_back(self, session: Session, *, is_usable: bool = True) -> None:
        if session.is_closed:
            return
        if is_usable and not self._is_closed:
            self._idle.append(session)
        else:
            session.terminate()

    def _lose(self) -> None:
        """The other connections are probably gone too: a new one has to prove that the database is there."""
        for session in self._idle:
            session.terminate()
        self._idle.clear()
        if self._reconnecting is None and not self._is_closed:
            self._reconnecting = self.start(self._reconnect())

    async def _reconnect(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                session = await connect(self._address, self._settings)
            except Exception:  # noqa: BLE001 (whatever is wrong with it may pass)
                await asyncio.sleep(pause * (0.5 + self._chance() / 2))
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._idle.append(session)
                self._reconnecting = None
                return
