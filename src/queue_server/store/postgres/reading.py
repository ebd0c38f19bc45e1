"""What is read of jobs and operations, but for lists. Results are of the last commit."""

from collections.abc import Collection, Sequence

from queue_server.domain.command import ExecCommand
from queue_server.domain.job import PRIORITY_MAX, Attempt, Job, JobRecord
from queue_server.domain.outcome import Output
from queue_server.store.contract import Operation
from queue_server.store.postgres.pool import Pool
from queue_server.store.rows.jobs import attempt_of_row, job_of_row, record_of_row
from queue_server.store.rows.operations import operation_of_row
from queue_server.store.search.fragments import held


class Reading:
    """The reading methods of a store."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def expired(self, now: int, lease: int, limit: int) -> Sequence[Job]:
        """See Store.expired."""
        return [job_of_row(tuple(row)) for row in await self._pool.rows("expired", now - lease, limit)]

    async def strays(self, node_id: int, known: Collection[int], limit: int) -> Sequence[Job]:
        """See Store.strays."""
        found = await self._pool.rows("strays", node_id, list(known), limit)
        return [job_of_row(tuple(row)) for row in found]

    async def overdue(self, now: int, limit: int) -> Sequence[Job]:
        """See Store.overdue."""
        return [job_of_row(tuple(row)) for row in await self._pool.rows("overdue", now, limit)]

    async def get(self, job_id: int) -> JobRecord | None:
        """See Store.get."""
        rows = await self._pool.rows("get", held(job_id))
        return record_of_row(tuple(rows[0])) if rows else None

    async def ahead(self, record: JobRecord, limit: int) -> int:
        """See Store.ahead."""
        type_ = "exec" if isinstance(record.plan.command, ExecCommand) else "http"
        values = (type_, PRIORITY_MAX - record.priority, record.run_at, record.id, limit)
        return (await self._pool.rows("ahead", *values))[0][0]

    async def last_id(self) -> int:
        """See Store.last_id."""
        return (await self._pool.rows("last_id"))[0][0]

    async def operation(self, operation_id: int) -> Operation | None:
        """See Store.operation."""
        rows = await self._pool.rows("operation", held(operation_id))
        return operation_of_row(tuple(rows[0])) if rows else None

    async def operations(self, before_id: int, limit: int) -> Sequence[Operation]:
        """See Store.operations."""
        return [operation_of_row(tuple(row)) for row in await self._pool.rows("operations", held(before_id), limit)]

    async def open_operations(self) -> Sequence[Operation]:
        """See Store.open_operations."""
        return [operation_of_row(tuple(row)) for row in await self._pool.rows("open_operations")]

    async def attempts(self, job_id: int) -> Sequence[Attempt]:
        """See Store.attempts."""
        return [attempt_of_row(tuple(row)) for row in await self._pool.rows("attempts", held(job_id))]

    async def output(self, job_id: int, number: int | None) -> Output | None:
        """See Store.output."""
        rows = await self._pool.rows("output", held(job_id), None if number is None else held(number))
        return Output(*rows[0]) if rows else None
