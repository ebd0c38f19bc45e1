"""Reading connections, each in a thread of its own, so that no reader waits for the writer or the event loop for it."""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from queue_server.domain.audit import Act
from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import StoreUnavailable
from queue_server.domain.job import PRIORITY_MAX, Attempt, Job, JobRecord
from queue_server.domain.outcome import Output
from queue_server.domain.secret import KeptSecret
from queue_server.domain.tokens import Token
from queue_server.store.contract import IdPage, JobFilter, JobPage, JobQuery, Operation
from queue_server.store.fair_threads import FairThreads
from queue_server.store.rows.acts import act_of_row
from queue_server.store.rows.jobs import attempt_of_row, job_of_row, record_of_row
from queue_server.store.rows.operations import operation_of_row
from queue_server.store.rows.tokens import token_of_row
from queue_server.store.sqlite.connection import explain, open_reader
from queue_server.store.sqlite.finding import find, find_ids
from queue_server.store.sqlite.secrets import secret_of_row
from queue_server.store.sqlite.session import QUERIES

THREADS = 2
TIME_LIMIT_S = 5.0
"""A reader that takes longer would keep the writer from checkpointing."""

STEPS_PER_CHECK = 10_000

T = TypeVar("T")


class Readers:
    """A few threads that read. Results are of the last commit."""

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._threads = FairThreads(THREADS, "sqlite-reader")
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []
        self._is_closed = False

    async def expired(self, limit: int) -> list[Job]:
        """See Store.expired."""
        return [job_of_row(row) for row in await self._read("expired", limit)]

    async def total_slots(self) -> int:
        """See Store.total_slots."""
        return (await self._read("total_slots"))[0][0]

    async def get(self, job_id: int) -> JobRecord | None:
        """See Store.get."""
        rows = await self._read("get", job_id)
        return record_of_row(rows[0]) if rows else None

    async def overdue(self, now: int, limit: int) -> list[Job]:
        """See Store.overdue."""
        return [job_of_row(row) for row in await self._read("overdue", now, limit)]

    async def find(self, query: JobQuery) -> JobPage:
        """See Store.find."""
        return await self._ask(lambda database: find(database, query))

    async def find_ids(self, wanted: JobFilter, *, after: int, last: int, limit: int) -> IdPage:
        """See Store.find_ids."""
        return await self._ask(lambda database: find_ids(database, wanted, after=after, last=last, limit=limit))

    async def ahead(self, record: JobRecord, limit: int) -> int:
        """See Store.ahead."""
        type_ = "exec" if isinstance(record.plan.command, ExecCommand) else "http"
        rank = PRIORITY_MAX - record.priority
        return (await self._read("ahead", type_, rank, record.run_at, record.id, limit))[0][0]

    async def acts(self, before_id: int, limit: int) -> list[Act]:
        """See AuditStore.acts."""
        return [act_of_row(row) for row in await self._read("acts", before_id, limit)]

    async def operation(self, operation_id: int) -> Operation | None:
        """See Store.operation."""
        rows = await self._read("operation", operation_id)
        return operation_of_row(rows[0]) if rows else None

    async def operations(self, before_id: int, limit: int) -> list[Operation]:
        """See Store.operations."""
        return [operation_of_row(row) for row in await self._read("operations", before_id, limit)]

    async def open_operations(self) -> list[Operation]:
        """See Store.open_operations."""
        return [operation_of_row(row) for row in await self._read("open_operations")]

    async def attempts(self, job_id: int) -> list[Attempt]:
        """See Store.attempts."""
        return [attempt_of_row(row) for row in await self._read("attempts", job_id)]

    async def output(self, job_id: int, number: int | None) -> Output | None:
        """See Store.output."""
        rows = await self._read("output", job_id, number)
        return Output(*rows[0]) if rows else None

    async def secrets(self) -> list[KeptSecret]:
        """See SecretStore.secrets."""
        return [secret_of_row(row) for row in await self._read("secrets")]

    async def tokens(self) -> list[Token]:
        """See TokenStore.tokens."""
        return [token_of_row(row) for row in await self._read("tokens")]

    def close(self) -> None:
        """End the threads and close their connections. Blocks until running reads have ended."""
        self._is_closed = True
        self._threads.close()
        for connection in self._connections:
            connection.close()

    async def _read(self, name: str, *values: Any) -> Sequence[Any]:
        return await self._ask(lambda database: _rows(database, QUERIES[name], values))

    async def _ask(self, question: Callable[[apsw.Connection], T]) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        return await self._threads.do(lambda: self._answer(question))

    def _answer(self, question: Callable[[apsw.Connection], T]) -> T:
        try:
            connection = self._connection()
            deadline = self._monotonic() + TIME_LIMIT_S
            connection.set_progress_handler(lambda: self._monotonic() > deadline, STEPS_PER_CHECK)
            return question(connection)
        except apsw.InterruptError:
            raise StoreUnavailable(f"the query took longer than {TIME_LIMIT_S:.0f} s; narrow it down") from None
        except apsw.Error as error:
            raise StoreUnavailable(explain(error, self._path)) from None

    def _connection(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_reader(self._path)
            self._connections.append(connection)
        return connection


def _rows(database: apsw.Connection, query: str, values: Sequence[Any]) -> list[Any]:
    try:
        return list(database.execute(query, values))
    except OverflowError:
        return []  # an id that SQLite can't hold is no row's
