"""Reads the table of the first Queue Server. See FirstTable.

How exactly its columns were declared is not known, so all are asked for as texts or numbers; columns that are not there
are null. Times without a zone are those of a zone that is named, or else of the server that keeps them.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the driver's stubs have no types for most of their parameters)
# ruff: noqa: S608 (the names in the texts are quoted, or of our own)

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Self

from asyncmy import errors
from asyncmy.connection import Connection
from asyncmy.connection import connect as driver_connect

from queue_server.domain.errors import StoreError, StoreRefused
from queue_server.domain.instants import EPOCH, MICROSECOND
from queue_server.store.first_table import FirstRow
from queue_server.store.moving import FOR_EVER
from queue_server.store.mysql.address import Address, parse_address
from queue_server.store.mysql.faults import text_of

PAGE_ROWS = 50
JOB_BYTES = 4 * 1024 * 1024
"""A longer `job` is none: the first server took no such requests."""

CONNECT_LIMIT_S = 10
TEXTS = ("context", "params", "command", "job")
NUMBERS = ("worker_status", "return_code", "priority")
TIMES = ("time_added", "time_completed")
INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
BINARY = ("tinyblob", "blob", "mediumblob", "longblob", "binary", "varbinary")


class MysqlFirstTable:
    """See FirstTable. `output_limit` is how many characters of an output are read."""

    def __init__(self, connection: Connection, label: str, table: str, query: str, zone: tzinfo | None) -> None:
        self._connection = connection
        self.label = label
        self._table = table
        self._query = query
        self._zone = zone

    @classmethod
    async def open(cls, url: str, table: str, *, zone: tzinfo | None, output_limit: int) -> Self:
        """Connect; StoreRefused if there is no such table, or it is not one of the first server."""
        address = parse_address(url)
        connection = await _connect(address)
        label = f"the table {table} of {address.label}"
        try:
            types = await _column_types(connection, address.database, table)
            _check(types, label)
        except BaseException:
            connection.close()
            raise
        return cls(connection, label, _name(table), _page_query(table, types, zone, output_limit), zone)

    async def count(self, after: int) -> int:
        """See FirstTable.count."""
        ((count,),) = await self._rows(f"select count(*) from {self._table} where id > %s", after)
        return count

    async def id_range(self) -> tuple[int, int] | None:
        """See FirstTable.id_range."""
        query = f"select min(id), max(id) from {self._table} where id > 0 and id < %s"
        ((first, last),) = await self._rows(query, FOR_EVER)
        return None if first is None else (int(first), int(last))

    async def page(self, after: int) -> Sequence[FirstRow]:
        """See FirstTable.page."""
        return [self._row(row) for row in await self._rows(self._query, after)]

    async def ids_among(self, ids: Sequence[int]) -> Sequence[int]:
        """See FirstTable.ids_among."""
        places = ", ".join(["%s"] * len(ids))
        return [row[0] for row in await self._rows(f"select id from {self._table} where id in ({places})", *ids)]

    async def close(self) -> None:
        """See FirstTable.close."""
        await self._connection.ensure_closed()

    def _row(self, row: Sequence[Any]) -> FirstRow:
        id_, *texts_and_more = row
        texts, (status, code, priority), (added, completed), (output, size) = (
            texts_and_more[:4],
            map(_integer, texts_and_more[4:7]),
            (self._instant(value) for value in texts_and_more[7:9]),
            texts_and_more[9:],
        )
        return FirstRow(
            id=int(id_),
            worker_status=status,
            return_code=code,
            priority=priority,
            added_at=added,
            completed_at=completed,
            output=output or b"",
            output_size=size or 0,
            **dict(zip(TEXTS, texts, strict=True)),
        )

    def _instant(self, value: Any) -> int | None:
        """µs as they come from the server, or a time of the zone."""
        if value is None or isinstance(value, int):
            return value or None  # 0000-00-00 is 0
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            return None
        return (moment.replace(tzinfo=self._zone) - EPOCH) // MICROSECOND

    async def _rows(self, query: str, *values: Any) -> Sequence[Sequence[Any]]:
        return await _rows(self._connection, query, *values)


async def _connect(address: Address) -> Connection:
    host, port = address.hosts[0]
    try:
        return await driver_connect(
            host=None if address.socket else host,
            port=port,
            unix_socket=address.socket,
            user=address.user,
            password=address.password or os.environ.get("MYSQL_PWD", ""),
            database=address.database,
            ssl=address.tls_context(),
            charset="utf8mb4",
            connect_timeout=CONNECT_LIMIT_S,
            autocommit=True,
            program_name="queue-server import",
        )
    except (errors.MySQLError, OSError) as error:
        raise StoreRefused(f"can't open {address.label}: {text_of(error)}") from None


async def _column_types(connection: Connection, database: str, table: str) -> Mapping[str, str]:
    found = await _rows(
        connection,
        "select lower(column_name), lower(data_type) from information_schema.columns "
        "where table_schema = %s and table_name = %s",
        database,
        table,
    )
    return {str(name): str(type_) for name, type_ in found}


def _check(types: Mapping[str, str], label: str) -> None:
    if not types:
        raise StoreRefused(f"{label} is not there, or its user may not select from it; name another with --table")
    missing = [name for name in ("id", "worker_status") if name not in types]
    if missing or not {"job", "command"} & types.keys():
        raise StoreRefused(
            f"{label} is not one of the first Queue Server: it has no {missing[0] if missing else 'job'}"
        )
    if types["id"] not in INTEGERS:
        raise StoreRefused(f"{label} is not one of the first Queue Server: its id is a {types['id']}")


def _page_query(table: str, types: Mapping[str, str], zone: tzinfo | None, output_limit: int) -> str:
    columns = [
        "id",
        *(_text(name, types) for name in TEXTS),
        *(f"convert({_name(name)} using utf8mb4)" if name in types else "null" for name in NUMBERS),
        *(_time(name, types, zone) for name in TIMES),
        *_output(types, output_limit),
    ]
    return f"select {', '.join(columns)} from {_name(table)} where id > %s order by id limit {PAGE_ROWS}"


def _text(name: str, types: Mapping[str, str]) -> str:
    if name not in types:
        return "null"
    return f"if(octet_length({_name(name)}) > {JOB_BYTES}, null, convert({_name(name)} using utf8mb4))"


def _time(name: str, types: Mapping[str, str], zone: tzinfo | None) -> str:
    """µs where the server knows them, else the text of a time of the zone."""
    if name not in types:
        return "null"
    if types[name] in INTEGERS:
        return f"cast({_name(name)} as signed) * 1000000"
    if zone is None or types[name] == "timestamp":
        return f"cast(round(unix_timestamp({_name(name)}) * 1000000) as signed)"
    return f"cast({_name(name)} as char)"


def _output(types: Mapping[str, str], limit: int) -> tuple[str, str]:
    if "output" not in types:
        return "null", "null"
    if types["output"] in BINARY:
        return f"left(`output`, {limit})", "octet_length(`output`)"
    text = "convert(`output` using utf8mb4)"
    return f"cast(left({text}, {limit}) as binary)", f"octet_length({text})"


def _name(name: str) -> str:
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def _integer(value: Any) -> int | None:
    try:
        return int(str(value).strip())
    except ValueError:
        return None


async def _rows(connection: Connection, query: str, *values: Any) -> Sequence[Sequence[Any]]:
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(query, values)  # with values, if none: then %% is a %
            return await cursor.fetchall()
    except (errors.MySQLError, OSError) as error:
        raise StoreError(f"the first Queue Server's database does not answer as it should: {text_of(error)}") from None
