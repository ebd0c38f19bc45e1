"""Searches for jobs, and other questions of people and programs."""

from collections.abc import Sequence
from typing import Any

from queue_server.domain.command import ExecCommand
from queue_server.domain.job import PRIORITY_MAX, JobRecord
from queue_server.store.contract import IdPage, JobFilter, JobPage, JobQuery, Position
from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.connection import Connection
from queue_server.store.mysql.dialect import MysqlDialect
from queue_server.store.mysql.transaction import QUERIES
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import record_of_row
from queue_server.store.search.dialect import Rows
from queue_server.store.search.driving import drive_async
from queue_server.store.search.finding import Asking, id_page, search_ids, search_list
from queue_server.store.search.fragments import Fragment

DIALECT = MysqlDialect()
LEAST_INTEGER, GREATEST_INTEGER = -(2**63), 2**63 - 1

Found = tuple[Sequence[Position], Position | None]


async def ask(connection: Connection, name: str, *values: Any) -> Sequence[Row]:
    """The rows of a query; none where a number is one that no row can have."""
    if any(isinstance(value, int) and not LEAST_INTEGER <= value <= GREATEST_INTEGER for value in values):
        return ()
    return await connection.rows(QUERIES[name], values)


async def find(connection: Connection, query: JobQuery) -> JobPage:
    """See Store.find."""
    await connection.say("start transaction with consistent snapshot")
    places, following = await _search(connection, search_list(query, DIALECT))
    ids = [place.id for place in places]
    rows = await connection.rows(QUERIES["get_many"], (listed(ids),)) if ids else ()
    await connection.commit()
    records = {row[0]: record_of_row(row) for row in rows}
    return JobPage([records[job_id] for job_id in ids], following)


async def find_ids(connection: Connection, wanted: JobFilter, *, after: int, last: int, limit: int) -> IdPage:
    """See Store.find_ids."""
    await connection.say("start transaction with consistent snapshot")
    found = await _search(connection, search_ids(wanted, DIALECT, after=after, last=last, limit=limit))
    await connection.commit()
    return id_page(found)


async def ahead(connection: Connection, record: JobRecord, limit: int) -> int:
    """See Store.ahead."""
    type_ = "exec" if isinstance(record.plan.command, ExecCommand) else "http"
    rank, run_at = PRIORITY_MAX - record.priority, record.run_at
    before = (type_, rank, limit, type_, rank, run_at, limit, type_, rank, run_at, record.id, limit)
    ((count,),) = await ask(connection, "ahead", *before)
    return min(count, limit)


async def _search(connection: Connection, search: Asking[Found]) -> Found:
    async def rows_of(query: Fragment) -> Rows:
        return await connection.rows(query.sql, query.values)

    return await drive_async(search, rows_of)
