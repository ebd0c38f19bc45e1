"""MySQL or MariaDB for the tests of stores: one database for each process of the test run, emptied for each test."""

import asyncio
import atexit
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from queue_server.clock import ServerClock
from queue_server.domain.state import State
from queue_server.store.migrations import load_migrations
from queue_server.store.mysql.migrating import MIGRATIONS, migrate_database
from queue_server.store.mysql.store import MysqlStore
from tests.support.databases import _run as _run_here
from tests.support.databases import make_database, mysql_server, run_sql

TABLES = (
    *("job", "payload", "tag", "attempt", "once", "tally"),
    *("node", "message", "operation", "token", "secret", "audit"),
)
NUMBERED = ("job", "operation", "token", "secret", "audit")


class MysqlBackend:
    """See Backend."""

    is_shared = True

    def __init__(self, _folder: Path) -> None:
        self.url = _database()
        empty(self.url)

    async def open(self) -> MysqlStore:
        """See Backend.open."""
        return await MysqlStore.open(self.url, ServerClock())

    def recount(self) -> Mapping[State, int]:
        """See Backend.recount."""
        found = dict(run_sql(self.url, "select state, count(*) from job group by state"))
        return {state: found.get(state, 0) for state in State}

    def rows_of(self, job_id: int) -> int:
        """See Backend.rows_of."""
        return self._number(
            f"""select (select count(*) from job where id = {job_id})
            + (select count(*) from payload where job_id = {job_id})
            + (select count(*) from attempt where job_id = {job_id})
            + (select count(*) from tag where job_id = {job_id})"""
        )

    def keys(self) -> int:
        """See Backend.keys."""
        return self._number("select count(*) from once")

    def wishes(self) -> int:
        """See Backend.wishes."""
        return self._number("select count(*) from job where cancel_wished_at is not null")

    def continue_ids_at(self, next_id: int) -> None:
        """See Backend.continue_ids_at."""
        run_sql(self.url, f"alter table job auto_increment = {next_id}")

    def _number(self, query: str) -> int:
        return run_sql(self.url, query)[0][0]


def empty(url: str) -> None:
    """Delete all rows, and begin to count ids anew."""
    deletes = [f"delete from {table}" for table in TABLES]
    run_sql(url, *deletes, *(f"alter table {table} auto_increment = 1" for table in NUMBERED))


@cache
def _database() -> str:
    url = make_database(mysql_server())
    atexit.register(_drop, url)
    taken = _run(url)
    assert len(taken) == len(load_migrations(MIGRATIONS))
    return url


def _drop(url: str) -> None:
    """At the end of the process, where no thread can be started any more."""
    server, _, name = url.rpartition("/")
    asyncio.run(_run_here(server, [f"drop database if exists {name}"]))


def _run(url: str) -> list[str]:
    """On an event loop of its own, whichever runs here."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(migrate_database(url))).result()
