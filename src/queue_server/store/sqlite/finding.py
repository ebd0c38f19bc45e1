"""Lists of jobs: searches carried out on a reading connection."""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import apsw
from msgspec import json

from queue_server.store.contract import IdPage, JobFilter, JobPage, JobQuery
from queue_server.store.rows.jobs import record_of_row
from queue_server.store.search.driving import drive
from queue_server.store.search.finding import SCAN_LIMIT, id_page, search_ids, search_list
from queue_server.store.search.fragments import Fragment
from queue_server.store.sqlite.dialect import SqliteDialect
from queue_server.store.sqlite.session import QUERIES

DIALECT = SqliteDialect()


def find(database: apsw.Connection, query: JobQuery, scan_limit: int = SCAN_LIMIT) -> JobPage:
    """See Store.find."""
    with _one_commit(database):
        places, following = drive(search_list(query, DIALECT, scan_limit), _rows_of(database))
        ids = json.encode([place.id for place in places]).decode()
        jobs = [record_of_row(row) for row in database.execute(QUERIES["get_many"], (ids,))]
    return JobPage(jobs, following)


def find_ids(
    database: apsw.Connection, wanted: JobFilter, *, after: int, last: int, limit: int, scan_limit: int = SCAN_LIMIT
) -> IdPage:
    """See Store.find_ids."""
    search = search_ids(wanted, DIALECT, after=after, last=last, limit=limit, scan_limit=scan_limit)
    with _one_commit(database):
        return id_page(drive(search, _rows_of(database)))


@contextmanager
def _one_commit(database: apsw.Connection) -> Generator[None]:
    """Whatever is read meanwhile is as one commit left it."""
    database.execute("begin")
    try:
        yield
    finally:
        database.execute("rollback")


def _rows_of(database: apsw.Connection) -> Callable[[Fragment], list[Any]]:
    return lambda query: list(database.execute(query.sql, query.values))
