"""One connection: how it is opened, and its prepared statements.

Statements are prepared, so that values are never part of a text, and numbers and bytes travel as they are: half the
time of the driver's escaped texts (measured 2026-11 with batches of 64 jobs: 12 µs of a row against 24).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the driver's stubs have no types for most of their parameters)

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol, cast

from asyncmy import errors
from asyncmy.connection import Connection as Driver
from asyncmy.connection import connect as driver_connect
from asyncmy.constants.CLIENT import FOUND_ROWS

from queue_server.clock import ServerClock
from queue_server.store.mysql.address import Address
from queue_server.store.rows import Row

CONNECT_LIMIT_S = 3.0
STATEMENT_LIMIT_S = 5.0
"""What a statement may take before the database counts as gone, but for migrations."""

LOCK_WAIT_S = 3
STATEMENTS_KEPT = 100

SQL_MODE = "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
TIME = "select cast(unix_timestamp(now(6)) * 1000000 as signed)"


class Result(Protocol):
    """What a statement has done. `rows` is None unless it is a query; `affected_rows` are those that it found."""

    rows: Sequence[Row] | None
    affected_rows: int
    insert_id: int


class Statement(Protocol):
    """A prepared statement."""

    async def execute(self, args: Sequence[Any]) -> Result:
        """Run it with values."""
        ...

    async def close(self) -> None:
        """Have the server forget it."""
        ...


class Connection:
    """An open connection. `id_step` is how far apart the ids are that one insert gives to its rows."""

    def __init__(self, driver: Driver, limit_s: float | None) -> None:
        self._driver = driver
        self._limit_s = limit_s
        self._statements: dict[str, Statement] = {}
        self.id_step = 1

    async def run(self, sql: str, values: Sequence[Any] = ()) -> Result:
        """Run a statement; its question marks stand for the values."""
        async with asyncio.timeout(self._limit_s):
            statement = self._statements.pop(sql, None) or await self._prepare(sql)
            self._statements[sql] = statement  # as the last one: those that are not used come first
            return await statement.execute(values)

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        """The rows that a query finds."""
        return (await self.run(sql, values)).rows or ()

    async def commit(self) -> None:
        """Make the open transaction durable."""
        async with asyncio.timeout(self._limit_s):
            await self._driver.commit()

    async def rollback(self) -> None:
        """Undo the open transaction."""
        async with asyncio.timeout(self._limit_s):
            await self._driver.rollback()

    async def say(self, sql: str) -> None:
        """Run a statement that can't be prepared and has no values."""
        async with asyncio.timeout(self._limit_s):
            await self._driver.query(sql)

    async def tell_time(self, clock: ServerClock) -> None:
        """Have the clock follow the database's."""
        asked_at = clock.steady()
        ((told,),) = await self.rows(TIME)
        clock.follow(told, asked_at)

    async def close(self) -> None:
        """Say goodbye and let go."""
        try:
            async with asyncio.timeout(1):
                await self._driver.ensure_closed()
        except (errors.MySQLError, OSError):
            self.drop()

    def drop(self) -> None:
        """Let go of a connection that does not answer, or that nobody knows the state of."""
        self._driver.close()

    async def _prepare(self, sql: str) -> Statement:
        if len(self._statements) >= STATEMENTS_KEPT:
            oldest = next(iter(self._statements))
            await self._statements.pop(oldest).close()
        return cast("Statement", await self._driver.prepare(sql))


async def connect(
    address: Address,
    *,
    autocommit: bool,
    limit_s: float | None = STATEMENT_LIMIT_S,
    settings: Sequence[str] = (),
) -> Connection:
    """A connection to the first host that takes writes; the last host's error where none does.

    `limit_s` is what a statement may take, `settings` are statements that change the session's defaults.
    """
    places: Sequence[tuple[str | None, int]] = [(None, 0)] if address.socket else address.hosts
    last: Exception = OSError("no host is writable")
    for host, port in places:
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                connection = Connection(await _open(address, host, port, autocommit=autocommit), limit_s)
                if await _prepare_session(connection, settings):
                    return connection
            connection.drop()
            last = errors.OperationalError(1290, f"{host or address.socket} is read-only")
        except (errors.MySQLError, OSError) as error:
            last = error
    raise last


async def _open(address: Address, host: str | None, port: int, *, autocommit: bool) -> Driver:
    return await driver_connect(
        host=host,
        port=port,
        unix_socket=address.socket,
        user=address.user,
        password=cast("str", address.password.encode()),  # else it would be taken for Latin-1
        database=address.database,
        ssl=address.tls_context(),
        client_flag=FOUND_ROWS,
        connect_timeout=round(CONNECT_LIMIT_S),
        autocommit=autocommit,
        program_name="queue-server",
    )


async def _prepare_session(connection: Connection, settings: Sequence[str]) -> bool:
    """Make the session independent of the server's defaults; whether the server takes writes."""
    await connection.say("set session transaction isolation level read committed")
    await connection.say(
        f"set session sql_mode = '{SQL_MODE}', time_zone = '+00:00', innodb_lock_wait_timeout = {LOCK_WAIT_S}, "
        "lock_wait_timeout = 30, wait_timeout = 86400"
    )
    for setting in settings:
        await connection.say(setting)
    ((is_read_only, connection.id_step),) = await connection.rows("select @@read_only, @@auto_increment_increment")
    return not is_read_only
