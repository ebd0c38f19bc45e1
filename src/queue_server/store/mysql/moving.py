"""Moving rows out of a MySQL or MariaDB database and into one. See Import."""

import contextlib
from collections.abc import Sequence
from typing import Any, Self

from queue_server.domain.errors import StoreRefused
from queue_server.store.migrations import load_migrations
from queue_server.store.moving import COUNTED, JOB, PASSING, TOKEN, NextIds, Table
from queue_server.store.moving_server import ServerMoving, Statement, refused
from queue_server.store.moving_sql import Wording
from queue_server.store.mysql.address import Address, parse_address
from queue_server.store.mysql.connection import TIME, Connection, connect
from queue_server.store.mysql.faults import refusal, text_of
from queue_server.store.mysql.migrating import MIGRATIONS
from queue_server.store.rows import Row

EXTRA = {JOB.name: ("wished_of",), TOKEN.name: ("active_name",)}
VERSION_TABLE = """select count(*) from information_schema.tables
where table_schema = database() and table_name = 'schema_version'"""
NEXT_IDS = "select table_name, auto_increment from information_schema.tables where table_schema = database()"


class MysqlMoving(ServerMoving):
    """See Import."""

    wording = Wording(lambda name: f"`{name}`", lambda _number: "?")
    keep_known = "on duplicate key update job_id = job_id"
    move_mark = "on duplicate key update job_id = values(job_id)"
    passing = f"x'{PASSING.hex()}'"
    time_query = TIME
    analyze = "analyze table"

    def __init__(self, connection: Connection, address: Address) -> None:
        self._connection = connection
        self._address = address

    @classmethod
    async def open(cls, db: str) -> Self:
        """Connect; StoreRefused if its schema is not the one that this version knows."""
        address = parse_address(db)
        try:
            connection = await connect(address, autocommit=True, limit_s=None)
            with contextlib.suppress(Exception):  # MariaDB has no such setting, and needs none
                await connection.say("set session information_schema_stats_expiry = 0")
            await _check_version(connection, address)
        except StoreRefused:
            raise
        except Exception as error:  # noqa: BLE001 (a person is told in one line)
            raise refusal(error, address.label, address.user, address.database) from None
        return cls(connection, address)

    @property
    def label(self) -> str:
        """See Export.label."""
        return self._address.label

    async def close(self) -> None:
        """See Export.close."""
        await self._connection.close()

    async def next_ids(self) -> NextIds:
        """See Export.next_ids."""
        told = {str(name): int(next_id or 1) for name, next_id in await self.rows(NEXT_IDS)}
        return {name: told[name] for name in COUNTED}

    def reserve_statement(self, table: str, next_id: int) -> str:
        """See ServerMoving."""
        return f"alter table {self.wording.name(table)} auto_increment = {next_id}"

    def extra_columns(self, table: Table) -> Sequence[str]:
        """See ServerMoving."""
        return EXTRA.get(table.name, ())

    def stored(self, table: Table, row: Row) -> Row:
        """See ServerMoving. A wish is found by its job's node, and a name is taken while its token is in force."""
        values = dict(zip(table.columns, row, strict=True))
        if table == JOB:
            return (*row, None if values["cancel_wished_at"] is None else values["node_id"])
        if table == TOKEN:
            return (*row, values["name"] if values["revoked_at"] is None else None)
        return super().stored(table, row)

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        """See ServerMoving."""
        try:
            return await self._connection.rows(sql, values)
        except Exception as error:  # noqa: BLE001 (a person is told in one line)
            raise refused(self.label, Exception(text_of(error))) from None

    async def transact(self, statements: Sequence[Statement]) -> None:
        """See ServerMoving."""
        try:
            await self._connection.say("start transaction")
            try:
                for sql, values in statements:
                    await self._connection.run(sql, values)
                await self._connection.commit()
            except BaseException:
                await self._connection.rollback()
                raise
        except Exception as error:  # noqa: BLE001 (a person is told in one line)
            raise refused(self.label, Exception(text_of(error))) from None


async def _check_version(connection: Connection, address: Address) -> None:
    ((is_ours,),) = await connection.rows(VERSION_TABLE)
    found = 0
    if is_ours:
        ((found,),) = await connection.rows("select coalesce(max(number), 0) from schema_version")
    known = len(load_migrations(MIGRATIONS))
    if found != known:
        raise StoreRefused(
            f"{address.label} has schema version {found}, this Queue Server moves version {known}; "
            "run `queue-server migrate` on it first"
        )
