"""Databases for the tests of stores: how each kind of store is opened, opened again, and looked into.

A new kind of store joins the conformance suite by a class like SqliteBackend and a line in BACKENDS.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Protocol

import apsw
import msgspec

from queue_server.clock import SystemClock
from queue_server.domain.job import Job, JobRecord, NewJob
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.state import State
from queue_server.domain.wishes import Answer
from queue_server.store.contract import Claim, JobQuery, Node, Rule, Slots, Store
from queue_server.store.sqlite.store import SqliteStore
from tests.builders.jobs import NOW, decided
from tests.builders.mysql_backend import MysqlBackend
from tests.builders.postgres_backend import PostgresBackend

ALL_SLOTS = Slots(total=1000, http=1000, exec=1000)


class Backend(Protocol):
    """One database of a test, empty at first."""

    is_shared: bool
    """Whether several nodes, in this process or others, may have it open at a time."""

    async def open(self) -> Store:
        """Open it, in the running event loop. Not twice at a time unless it is shared."""
        ...

    def recount(self) -> Mapping[State, int]:
        """Count the rows, by another way than the store's."""
        ...

    def rows_of(self, job_id: int) -> int:
        """How many rows of any table belong to a job."""
        ...

    def keys(self) -> int:
        """How many idempotency keys are kept."""
        ...

    def wishes(self) -> int:
        """How many jobs are to be cancelled."""
        ...

    def continue_ids_at(self, next_id: int) -> None:
        """Have the next job get this id. While it is closed."""
        ...


class SqliteBackend:
    """See Backend."""

    is_shared = False

    def __init__(self, folder: Path) -> None:
        self.path = folder / "queue.db"

    async def open(self) -> SqliteStore:
        """See Backend.open."""
        return SqliteStore(self.path, SystemClock(), asyncio.get_running_loop())

    def recount(self) -> Mapping[State, int]:
        """See Backend.recount."""
        found = dict.fromkeys(State, 0)
        with closing(apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)) as database:
            found.update(
                {State(name): count for name, count in database.execute("select state, count(*) from job group by 1")}
            )
        return found

    def rows_of(self, job_id: int) -> int:
        """See Backend.rows_of."""
        query = """select (select count(*) from job where id = ?1) + (select count(*) from payload where job_id = ?1)
            + (select count(*) from attempt where job_id = ?1) + (select count(*) from tag where job_id = ?1)"""
        return self._number(query, job_id)

    def keys(self) -> int:
        """See Backend.keys."""
        return self._number("select count(*) from once")

    def wishes(self) -> int:
        """See Backend.wishes."""
        return self._number("select count(*) from job where cancel_wished_at is not null")

    def continue_ids_at(self, next_id: int) -> None:
        """See Backend.continue_ids_at."""
        with closing(apsw.Connection(str(self.path))) as database:
            database.execute("update sequence set next = ? where name = 'job'", (next_id,))

    def _number(self, query: str, *values: object) -> int:
        with closing(apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)) as database:
            return next(database.execute(query, values))[0]


BACKENDS: Mapping[str, Callable[[Path], Backend]] = {
    "sqlite": SqliteBackend,
    "mysql": MysqlBackend,
    "postgres": PostgresBackend,
}


@asynccontextmanager
async def opened(backend: Backend) -> AsyncIterator[Store]:
    """The backend's store for a while."""
    store = await backend.open()
    try:
        yield store
    finally:
        await store.close()


async def claim(store: Store, node: Node, slots: Slots = ALL_SLOTS, *, now: int = NOW) -> Sequence[Job]:
    """Take jobs and do nothing else."""
    return (await store.turn((), Claim(node.id, slots, now))).claimed.jobs


async def claim_all(store: Store, node: Node, *, now: int = NOW) -> list[Job]:
    """Take jobs until there are none: one claim may take fewer than there are."""
    taken: list[Job] = []
    while jobs := await claim(store, node, now=now):
        taken += jobs
    return taken


async def all_jobs(store: Store) -> list[JobRecord]:
    """Every job, newest first."""
    query, found = JobQuery(limit=1000), list[JobRecord]()
    while True:
        page = await store.find(query)
        found += page.jobs
        if page.next is None:
            return found
        query = msgspec.structs.replace(query, after=page.next)


async def add_one(store: Store, job: NewJob) -> int:
    """Add one job, with its idempotency key if it has one; its id."""
    (job_id,) = await store.add((job,)) if job.once is None else (await store.add_once((job,))).ids
    return job_id


async def amend_one(store: Store, job_id: int, rule: Rule) -> Answer | Exception:
    """Have a rule change one job, which there is; its answer."""
    (amended,) = await store.amend((job_id,), rule)
    assert amended.record.id == job_id
    return amended.answer


async def add_and_end(store: Store, node: Node, job: NewJob, kind: OutcomeKind, *, now: int = NOW) -> int:
    """Add one job and have its only attempt end like this; its id."""
    claimed = await add_and_claim(store, node, job)
    assert list((await store.turn([decided(claimed, kind, now=now)], None)).applied) == [True]
    return claimed.id


async def add_and_continue(store: Store, node: Node, job: NewJob, *, heartbeat: float = 60.0) -> Job:
    """Add one job whose attempt goes on at its target, which is to give a sign of life after so many seconds."""
    claimed = await add_and_claim(store, node, job)
    goes_on = decided(claimed, OutcomeKind.CONTINUED, heartbeat=heartbeat)
    assert list((await store.turn([goes_on], None)).applied) == [True]
    return claimed


async def add_and_claim(store: Store, node: Node, job: NewJob) -> Job:
    """Add one job and have it run."""
    job_id = await add_one(store, job)
    (claimed,) = await claim(store, node, now=job.run_at)
    assert claimed.id == job_id
    return claimed


Scenario = Callable[[Store], Awaitable[None]]
