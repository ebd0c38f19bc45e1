"""Ends what cannot end by itself: jobs whose node is gone, that did not start in time, or whose target fell silent."""

from collections.abc import Awaitable, Callable, Sequence

from queue_server.clock import Clock
from queue_server.domain.errors import StoreError
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Moment, Transition, decide, overdue
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.store.contract import LEASE_S, Store, Turn
from queue_server.telemetry.job_events import JobEvents
from queue_server.telemetry.logs import Log

SCAN_S = 1.0
PAGE = 200
LOST = Outcome(OutcomeKind.LEASE_EXPIRED, error="its node died while it ran")

Ended = Callable[[Job, Transition], None]
Find = Callable[[int], Awaitable[Sequence[Job]]]


class Rescuer:
    """Finds such jobs and has `decide` say what becomes of them."""

    def __init__(
        self, store: Store, *, clock: Clock, chance: Callable[[], float], ended: Ended, events: JobEvents, log: Log
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._ended = ended
        self._events = events
        self._log = log

    async def look(self) -> None:
        """End all of them that there are now."""
        await self.rescue()
        await self.end_overdue()

    async def rescue(self) -> int:
        """Give back all jobs that are lost now; how many there were."""
        lease = round(LEASE_S * 1_000_000)
        return await self.end_all(lambda now: self._store.expired(now, lease, PAGE), lambda _job, _now: LOST)

    async def end_overdue(self) -> int:
        """End all jobs whose time to start, or to give a sign of life, is over; how many there were."""
        return await self.end_all(lambda now: self._store.overdue(now, PAGE), overdue)

    async def end_all(self, find: Find, outcome_of: Callable[[Job, int], Outcome]) -> int:
        """End the jobs that `find` finds, page after page, as their outcomes say; how many there were."""
        count = 0
        while jobs := await find(now := self._clock.now()):
            moments = [Moment(now, job.claimed_at, self._chance()) for job in jobs]
            changes = [decide(job, outcome_of(job, now), moment) for job, moment in zip(jobs, moments, strict=True)]
            ended = await self._apply(jobs, changes)
            count += ended
            if not ended:  # nothing of the page could be written: don't spin on it
                break
        return count

    async def _apply(self, jobs: Sequence[Job], changes: Sequence[Transition]) -> int:
        try:
            turn = await self._store.turn(changes, None)
        except StoreError:
            return sum([await self._apply_alone(job, change) for job, change in zip(jobs, changes, strict=True)])
        return self._tell(jobs, changes, turn)

    async def _apply_alone(self, job: Job, change: Transition) -> int:
        """One bad row never blocks the rest."""
        try:
            turn = await self._store.turn([change], None)
        except StoreError as error:
            self._log.error("a lost or overdue job can't be ended", job_id=change.job_id, error=str(error))
            return 0
        return self._tell([job], [change], turn)

    def _tell(self, jobs: Sequence[Job], changes: Sequence[Transition], turn: Turn) -> int:
        """Say what has become of the jobs; how many were ended."""
        for job, change, applied in zip(jobs, changes, turn.applied, strict=True):
            if applied:
                self._ended(job, change)
        for job_id, row in turn.callbacks:
            self._events.added(job_id, row)
        return sum(turn.applied)
