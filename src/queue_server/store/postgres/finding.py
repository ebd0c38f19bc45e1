"""Lists of jobs: searches carried out on a reading connection."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any

from queue_server.store.contract import IdPage, JobFilter, JobPage, JobQuery
from queue_server.store.postgres.dialect import PostgresDialect
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import Session
from queue_server.store.rows.jobs import record_of_row
from queue_server.store.search.driving import drive_async
from queue_server.store.search.finding import id_page, search_ids, search_list
from queue_server.store.search.fragments import Fragment

DIALECT = PostgresDialect()

ONE_COMMIT = "begin isolation level repeatable read read only"
"""Whatever is read meanwhile is as one commit left it."""


async def find(pool: Pool, query: JobQuery) -> JobPage:
    """See Store.find."""

    async def work(session: Session) -> JobPage:
        places, following = await drive_async(search_list(query, DIALECT), _rows_of(session))
        rows = await session.rows("get_many", [place.id for place in places])
        return JobPage([record_of_row(tuple(row)) for row in rows], following)

    return await pool.do(work, begin=ONE_COMMIT)


async def find_ids(pool: Pool, wanted: JobFilter, *, after: int, last: int, limit: int) -> IdPage:
    """See Store.find_ids."""

    async def work(session: Session) -> IdPage:
        search = search_ids(wanted, DIALECT, after=after, last=last, limit=limit)
        return id_page(await drive_async(search, _rows_of(session)))

    return await pool.do(work, begin=ONE_COMMIT)


def _rows_of(session: Session) -> Callable[[Fragment], Awaitable[Sequence[Any]]]:
    return lambda query: session.rows_of(_numbered(query.sql), query.values)


def _numbered(sql: str) -> str:
    """The question marks become $1, $2, …: there are no others in a fragment's text."""
    first, *rest = sql.split("?")
    return first + "".join(f"${number}{part}" for number, part in zip(count(1), rest, strict=False))
