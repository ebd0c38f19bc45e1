"""The connections of a store: so many at most, opened when they are needed, and what is done on them.

Work that has begun is finished whatever becomes of its caller: a COMMIT that was sent must not be abandoned. While the
database does not answer, work is refused at once, and one task tries to reach it again, ever more seldom.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from queue_server.domain.errors import StoreUnavailable
from queue_server.store.fair_slots import FairSlots
from queue_server.store.mysql.connection import Connection
from queue_server.store.mysql.faults import is_conflict, is_demoted, is_lost, translated
from queue_server.store.mysql.transaction import Transaction

ATTEMPTS = 6
LONGEST_PAUSE_S = 0.05
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.1, 2.0

T = TypeVar("T")

Connect = Callable[[], Awaitable[Connection]]


class Unknown(StoreUnavailable):
    """The connection was lost while a transaction was being committed."""


class Pool:
    """Up to `size` connections. `chance` gives numbers in [0, 1).

    `on_demoted` is told when the server takes no writes any more.
    """

    def __init__(
        self, connect: Connect, size: int, chance: Callable[[], float], on_demoted: Callable[[], None] = lambda: None
    ) -> None:
        self._connect = connect
        self._chance = chance
        self._on_demoted = on_demoted
        self._generation = 0
        self._slots = FairSlots(size)
        self._idle: list[Connection] = []
        self._works: set[asyncio.Task[Any]] = set()
        self._reconnecting: asyncio.Task[None] | None = None
        self._is_closed = False
        self.commits = 0
        """Transactions that have been written."""

    async def read(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask something, on a connection where each statement is a transaction of its own."""
        return await self._do(lambda: self._attempt(question))

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do work in a transaction, several times where others are in the way: it must change nothing but the database.

        StoreUnavailable where the database can't be reached or does not take it now, StoreError for impossible work.
        """
        return (await self.write_and_tell(work))[0]

    async def write_and_tell(self, work: Callable[[Transaction], Awaitable[T]]) -> tuple[T, Transaction]:
        """As `write`; also the transaction that was committed, for what it knows."""
        done = await self._do(lambda: self._attempt(lambda connection: _transact(connection, work)))
        self.commits += 1
        return done

    async def close(self) -> None:
        """Finish what has begun, and let go of the connections."""
        self._is_closed = True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
        for connection in self._idle:
            await connection.close()
        self._idle.clear()

    async def _do(self, attempt: Callable[[], Awaitable[T]]) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        work = asyncio.ensure_future(self._persist(attempt))
        self._works.add(work)
        work.add_done_callback(self._forget)
        return await asyncio.shield(work)

    def _forget(self, work: asyncio.Task[Any]) -> None:
        """Its caller may be gone, and nobody else asks for its error."""
        self._works.discard(work)
        if not work.cancelled():
            work.exception()

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it is no use any more."""
        is_fresh = False
        for number in range(1, ATTEMPTS + 1):
            try:
                return await attempt()
            except Exception as error:  # noqa: BLE001 (translated)
                if number < ATTEMPTS and is_conflict(error):
                    await asyncio.sleep(LONGEST_PAUSE_S * self._chance())
                elif self._may_be_stale(error) and not is_fresh:
                    is_fresh = True
                else:
                    raise translated(error) from None
        raise AssertionError("unreachable")  # the last attempt returns or raises

    def _may_be_stale(self, error: Exception) -> bool:
        """Whether the connection was only idle for too long, or its server was restarted."""
        return is_lost(error) and not isinstance(error, TimeoutError) and self._reconnecting is None

    async def _attempt(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._reconnecting is not None:
            raise StoreUnavailable("the database does not answer; it is tried again in the background")
        async with self._slots:
            connection, generation = await self._take(), self._generation
            try:
                result = await work(connection)
            except BaseException as error:
                await self._recover(connection, generation, error)
                raise
            self._give_back(connection, generation)
            return result

    def renew(self) -> None:
        """Let go of all connections; those that are in use when they come back."""
        self._generation += 1
        while self._idle:
            self._idle.pop().drop()

    def _give_back(self, connection: Connection, generation: int) -> None:
        if generation == self._generation:
            self._idle.append(connection)
        else:
            connection.drop()

    async def _take(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        try:
            return await self._connect()
        except Exception as error:
            if is_lost(error) and self._reconnecting is None and not self._is_closed:
                self._reconnecting = asyncio.ensure_future(self._reconnect())
            raise

    async def _recover(self, connection: Connection, generation: int, error: BaseException) -> None:
        """Undo what was done on a connection; let go of it, and of all that are as old, where it is of no use."""
        if is_demoted(error):
            self._on_demoted()
        elif isinstance(error, Exception) and not is_lost(error) and not isinstance(error, Unknown):
            with contextlib.suppress(Exception):
                await connection.rollback()
                self._give_back(connection, generation)
                return
        connection.drop()
        if generation == self._generation:
            self.renew()

    async def _reconnect(self) -> None:
        pause_s = FIRST_BACKOFF_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                self._idle.append(await self._connect())
            except Exception:  # noqa: BLE001 (whatever it is, the database can't be used yet)
                pause_s = min(2 * pause_s, LONGEST_BACKOFF_S)
            else:
                self._reconnecting = None
                return


async def _transact(connection: Connection, work: Callable[[Transaction], Awaitable[T]]) -> tuple[T, Transaction]:
    transaction = Transaction(connection)
    result = await work(transaction)
    await transaction.settle()
    try:
        await connection.commit()
    except Exception as error:
        if is_lost(error):
            raise Unknown("the connection was lost while this was being stored: it may be there or not") from None
        raise
    return result, transaction
