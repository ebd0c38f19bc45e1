"""Seeing how things stand: counts, jobs, attempts, outputs."""

from collections.abc import Mapping, Sequence

import msgspec

from queue_server.clock import Clock
from queue_server.domain.access import Access, Right
from queue_server.domain.job import Attempt, JobRecord
from queue_server.domain.outcome import Output
from queue_server.domain.state import State
from queue_server.operations.binding import within
from queue_server.store.contract import JobFilter, JobPage, JobQuery, Store

ID_LIMIT = 2**53
"""Ids stay below it, so that JavaScript and JSON parsers can hold them."""

COUNT_LIMIT = 10_000
COUNT_PAGES = 2
"""How far the jobs of a bound access are counted in each state: so many of them, in so many pages of a search."""


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

    async def status(self, access: Access) -> Status:
        """Counts by state and the slots of all live nodes.

        For a bound access there are only its own jobs, counted as far as a bounded look finds them.
        """
        slots = await self._store.total_slots(self._clock.now(), self._lease)
        if access.is_bound:
            return Status({state: await self._count(state, access) for state in State}, slots)
        return Status(await self._store.counts(), slots)

    async def job(self, job_id: int, access: Access) -> JobRecord | None:
        """One job, or None."""
        job = await self._store.get(job_id) if 0 < job_id < ID_LIMIT else None
        return job if job is not None and access.sees(job.context, job.queue) else None

    async def jobs(self, query: JobQuery, access: Access) -> JobPage:
        """A page of jobs."""
        return await self._store.find(msgspec.structs.replace(query, filter=within(query.filter, access)))

    async def attempts(self, job_id: int, access: Access) -> Sequence[Attempt] | None:
        """A job's ended attempts, or None if there is no such job."""
        if await self.job(job_id, access) is None:
            return None
        return await self._store.attempts(job_id)

    async def output(self, job: JobRecord, access: Access) -> Output | None:
        """The output of a job's last attempt; None if there is none, or it is not for this access."""
        return await self._store.output(job.id) if access.may(Right.READ_OUTPUT) else None

    async def _count(self, state: State, access: Access) -> int:
        wanted, count, after = within(JobFilter(states=(state,)), access), 0, 0
        for _ in range(COUNT_PAGES):
            page = await self._store.find_ids(wanted, after=after, last=ID_LIMIT, limit=COUNT_LIMIT - count)
            count += len(page.ids)
            if page.next_after is None or count >= COUNT_LIMIT:
                break
            after = page.next_after
        return count
