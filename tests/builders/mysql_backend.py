"""MySQL or MariaDB for the tests of stores: one database for each process of the test run, emptied for each test."""

import asyncio
import atexit
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import asyncmy.errors

from queue_server.clock import ServerClock
from queue_server.domain.state import State
from queue_server.store.mysql.address import Address, parse_address
from queue_server.store.mysql.connection import Connection, connect
from queue_server.store.mysql.migrating import migrate_database
from queue_server.store.mysql.store import MysqlStore
from tests.support.databases import make_database, mysql_server

TABLES = (
    *("job", "payload", "tag", "attempt", "once", "tally"),
    *("node", "message", "operation", "token", "secret", "audit"),
)


class MysqlBackend:
    """See Backend."""

    is_shared = True

    def __init__(self, _folder: Path) -> None:
        self._looker = _looker()
        self.url = self._looker.url
        self._looker.run(*(f"delete from {table}" for table in TABLES), "alter table job auto_increment = 1")

    async def open(self) -> MysqlStore:
        """See Backend.open."""
        return await MysqlStore.open(self.url, ServerClock())

    def recount(self) -> Mapping[State, int]:
        """See Backend.recount."""
        found = dict(self._looker.run("select state, count(*) from job group by state"))
        return {state: found.get(state, 0) for state in State}

    def rows_of(self, job_id: int) -> int:
        """See Backend.rows_of."""
        columns = {"job": "id", "payload": "job_id", "attempt": "job_id", "tag": "job_id"}
        return sum(
            self._number(f"select count(*) from {table} where {column} = {job_id}") for table, column in columns.items()
        )

    def keys(self) -> int:
        """See Backend.keys."""
        return self._number("select count(*) from once")

    def wishes(self) -> int:
        """See Backend.wishes."""
        return self._number("select count(*) from job where cancel_wished_at is not null")

    def continue_ids_at(self, next_id: int) -> None:
        """See Backend.continue_ids_at."""
        self._looker.run(f"alter table job auto_increment = {next_id}")

    @asynccontextmanager
    async def connection(self, *, autocommit: bool = False) -> AsyncGenerator[Connection]:
        """A connection of the test's own."""
        connection = await connect(parse_address(self.url), autocommit=autocommit)
        try:
            yield connection
        finally:
            await connection.close()

    def _number(self, query: str) -> int:
        return self._looker.run(query)[0][0]


class _Looker:
    """A connection to the process's database with a thread and an event loop of its own, whichever runs elsewhere."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()
        self._in_thread(migrate_database(url))
        self._connection = self._connect()

    def run(self, *statements: str) -> Sequence[Sequence[Any]]:
        """Run statements; the rows of the last one. A test may have killed all connections."""
        try:
            return self._in_thread(self._run(statements))
        except asyncmy.errors.OperationalError:
            self._connection = self._connect()
            return self._in_thread(self._run(statements))

    def _connect(self) -> Connection:
        return self._in_thread(connect(parse_address(self.url), autocommit=True))

    async def _run(self, statements: Sequence[str]) -> Sequence[Sequence[Any]]:
        found: Sequence[Sequence[Any]] = ()
        for statement in statements:
            found = await self._connection.rows(statement)
        return found

    def _in_thread(self, work: Any) -> Any:
        return self._thread.submit(self._runner.run, work).result()


@cache
def _looker() -> _Looker:
    url = make_database(mysql_server())
    atexit.register(_drop, parse_address(url))
    return _Looker(url)


def _drop(address: Address) -> None:
    """At the end of the process, where no thread can be started any more."""
    asyncio.run(_drop_now(address))


async def _drop_now(address: Address) -> None:
    ((host, port),) = address.hosts
    async with asyncmy.connect(host=host, port=port, user=address.user, password=address.password) as connection:
        await connection.query(f"drop database if exists {address.database}")
