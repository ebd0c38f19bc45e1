"""Seeing how things stand: counts, jobs, attempts, outputs."""

from collections.abc import Mapping, Sequence

import msgspec

from queue_server.clock import Clock
from queue_server.domain.job import Attempt, JobRecord
from queue_server.domain.outcome import Output
from queue_server.domain.state import State
from queue_server.store.contract import JobPage, JobQuery, Store

ID_LIMIT = 2**53
"""Ids stay below it, so that JavaScript and JSON parsers can hold them."""


class Status(msgspec.Struct, frozen=True):
    """The server at a glance. `free` slots are never negative, whatever is counted while jobs change."""

    counts: Mapping[State, int]
    slots: int

    @property
    def waiting(self) -> int:
        """Jobs that have not started: due, due later, or due again."""
        return self.counts[State.SCHEDULED] + self.counts[State.AVAILABLE]

    @property
    def working(self) -> int:
        """Jobs that run."""
        return self.counts[State.RUNNING]

    @property
    def free(self) -> int:
        """Slots that are free."""
        return max(0, self.slots - self.working)


class Look:
    """Questions that change nothing."""

    def __init__(self, store: Store, clock: Clock, lease: int) -> None:
        self._store = store
        self._clock = clock
        self._lease = lease

    async def status(self) -> Status:
        """Counts by state and the slots of all live nodes."""
        slots = await self._store.total_slots(self._clock.now(), self._lease)
        return Status(await self._store.counts(), slots)

    async def job(self, job_id: int) -> JobRecord | None:
        """One job, or None."""
        return await self._store.get(job_id) if 0 < job_id < ID_LIMIT else None

    async def jobs(self, query: JobQuery) -> JobPage:
        """A page of jobs."""
        return await self._store.find(query)

    async def attempts(self, job_id: int) -> Sequence[Attempt] | None:
        """A job's ended attempts, or None if there is no such job."""
        if await self.job(job_id) is None:
            return None
        return await self._store.attempts(job_id)

    async def output(self, job_id: int, number: int | None = None) -> Output | None:
        """The output of an attempt (the last one where no number is given), or None."""
        return await self._store.output(job_id, number) if 0 < job_id < ID_LIMIT else None
