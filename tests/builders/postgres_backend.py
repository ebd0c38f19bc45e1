"""PostgreSQL for the tests of stores: one database for each process of the test run, emptied for each test."""

import asyncio
import atexit
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

from queue_server.clock import ServerClock
from queue_server.domain.state import State
from queue_server.store.postgres.migrating import migrate_database
from queue_server.store.postgres.store import PostgresStore
from tests.support.databases import make_database, postgres_server, run_sql

TABLES = (
    *("job", "payload", "tag", "attempt", "once", "tally"),
    *("node", "message", "operation", "token", "secret", "audit"),
)
NUMBERED = ("node", "message", "operation", "token", "secret", "audit")

EMPTY = ";".join(
    (
        *(f"delete from {table}" for table in TABLES),
        *(f"alter table {table} alter column {'number' if table == 'message' else 'id'} restart" for table in NUMBERED),
        "alter sequence job_id restart",
        "drop index if exists job_waiting",
    )
)


class PostgresBackend:
    """See Backend."""

    is_shared = True

    def __init__(self, _folder: Path) -> None:
        self.url = own_database()
        looker(self.url).run(EMPTY)

    async def open(self) -> PostgresStore:
        """See Backend.open."""
        return await PostgresStore.open(self.url, ServerClock())

    def recount(self) -> Mapping[State, int]:
        """See Backend.recount."""
        rows = looker(self.url).rows("select state, count(*) from job group by state")
        return dict.fromkeys(State, 0) | {State(state): count for state, count in rows}

    def rows_of(self, job_id: int) -> int:
        """See Backend.rows_of."""
        query = """select (select count(*) from job where id = $1) + (select count(*) from payload where job_id = $1)
            + (select count(*) from attempt where job_id = $1) + (select count(*) from tag where job_id = $1)"""
        return self._number(query, job_id)

    def keys(self) -> int:
        """See Backend.keys."""
        return self._number("select count(*) from once")

    def wishes(self) -> int:
        """See Backend.wishes."""
        return self._number("select count(*) from job where cancel_wished_at is not null")

    def continue_ids_at(self, next_id: int) -> None:
        """See Backend.continue_ids_at."""
        looker(self.url).rows("select setval('job_id', $1, false)", next_id)

    def _number(self, query: str, *values: object) -> int:
        return looker(self.url).rows(query, *values)[0][0]


class Looker:
    """A connection that stays open, on an event loop of its own: a test's loop may run meanwhile."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="looker", daemon=True)
        self._thread.start()
        self._connection: asyncpg.Connection = self._wait(asyncpg.connect(url, timeout=10))

    def rows(self, query: str, *values: object) -> Sequence[Any]:
        """The rows that a query finds."""
        return self._wait(self._connection.fetch(query, *values))

    def run(self, statements: str) -> None:
        """Run statements, all in one transaction."""
        self._wait(self._connection.execute(statements))

    def close(self) -> None:
        """End the connection and the thread."""
        self._wait(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


@cache
def own_database() -> str:
    """The URL of this process's database, which has the schema. It is dropped at the end.

    It does not wait for the disk: what survives a crash is tested elsewhere, on databases of their own.
    """
    url = make_database(postgres_server())
    atexit.register(_drop, url)
    run_sql(url, f"alter database {url.rpartition('/')[2]} set synchronous_commit = off")
    asyncio.run(migrate_database(url))
    return url


def _drop(url: str) -> None:
    """As drop_database, which needs threads, and there are none at the end."""
    server, _, name = url.rpartition("/")

    async def drop() -> None:
        connection = await asyncpg.connect(f"{server}/postgres", timeout=10)
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.close()

    asyncio.run(drop())


@cache
def looker(url: str) -> Looker:
    """A connection to look into a database with."""
    one = Looker(url)
    atexit.register(one.close)
    return one
