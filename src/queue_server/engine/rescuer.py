"""Gives back the jobs of nodes that are gone: at the start at once, then every few seconds."""

import asyncio
from collections.abc import Callable, Sequence

from queue_server.clock import Clock
from queue_server.domain.errors import StoreError
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Moment, Transition, decide
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.engine.heartbeat import LEASE_S
from queue_server.store.contract import Store
from queue_server.telemetry.logs import Log

SCAN_S = 2.0
PAGE = 200
LOST = Outcome(OutcomeKind.LEASE_EXPIRED, error="its node died while it ran")


class Rescuer:
    """Finds lost jobs and has `decide` say what becomes of them."""

    def __init__(self, store: Store, clock: Clock, rescued: Callable[[Job, Transition], None], log: Log) -> None:
        self._store = store
        self._clock = clock
        self._rescued = rescued
        self._log = log

    async def run(self) -> None:
        """Rescue until cancelled."""
        while True:
            await asyncio.sleep(SCAN_S)
            try:
                await self.rescue()
            except StoreError as error:
                self._log.warning("can't look for lost jobs, trying again", error=str(error))

    async def rescue(self) -> int:
        """Give back all jobs that are lost now; how many there were."""
        count = 0
        while jobs := await self._store.expired(self._clock.now(), round(LEASE_S * 1_000_000), PAGE):
            rescued = await self._rescue_page(jobs)
            count += rescued
            if not rescued:  # nothing of the page could be written: don't spin on it
                break
        return count

    async def _rescue_page(self, jobs: Sequence[Job]) -> int:
        now = self._clock.now()
        transitions = [decide(job, LOST, Moment(now, job.claimed_at)) for job in jobs]
        try:
            flags = (await self._store.turn(transitions, None)).applied
        except StoreError:
            flags = [await self._rescue_alone(transition) for transition in transitions]
        for job, transition, applied in zip(jobs, transitions, flags, strict=True):
            if applied:
                self._rescued(job, transition)
        return sum(flags)

    async def _rescue_alone(self, transition: Transition) -> bool:
        """One bad row never blocks the rest."""
        try:
            return (await self._store.turn([transition], None)).applied[0]
        except StoreError as error:
            self._log.error("a lost job can't be given back", job_id=transition.job_id, error=str(error))
            return False
