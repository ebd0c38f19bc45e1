"""Claims jobs: wakes when work arrives or a slot becomes free, sleeps until the next due time otherwise."""

import asyncio
from collections.abc import Callable

from queue_server.clock import Clock
from queue_server.domain.errors import StoreError
from queue_server.domain.job import Job
from queue_server.engine.slots import SlotPool, is_exec
from queue_server.store.contract import Claimed, Slots, Store
from queue_server.telemetry.logs import Log

POLL_S = 5.0
"""The longest sleep: after the machine's clock was set, or for work that another program put into the store."""

RETRY_S = 1.0
GATHER_S = 0.002
"""Under load, freed slots are gathered this long, so that a claim takes several jobs (measured: docs/decisions)."""

GATHER_SHARE = 8
SECOND = 1_000_000


class Fetcher:
    """Keeps the node's slots filled while there is work."""

    def __init__(
        self, store: Store, node_id: int, slots: SlotPool, clock: Clock, run: Callable[[Job], None], log: Log
    ) -> None:
        self._store = store
        self._node_id = node_id
        self._slots = slots
        self._clock = clock
        self._run = run
        self._log = log
        self._wake = asyncio.Event()
        self._may_have_work = True
        self._next_due: int | None = None
        self._stopping = False
        store.on_arrival(self.work_arrived)

    def work_arrived(self, run_at: int) -> None:
        """Jobs have been stored; the first may run at `run_at`."""
        if self._next_due is None or run_at < self._next_due:
            self._next_due = run_at
        self._wake.set()

    def slot_freed(self, job: Job) -> None:
        """A job has ended. Commands have their own limit, so a waiting one may have been passed over."""
        if is_exec(job):
            self._may_have_work = True
        self._wake.set()

    def stop(self) -> None:
        """Claim no more."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Claim until stopped."""
        while not self._stopping:
            self._wake.clear()
            if self._next_due is not None and self._next_due <= self._clock.now():
                self._may_have_work = True
            free = self._slots.free()
            if self._may_have_work and free.total:
                await self._claim(free)
            else:
                await self._sleep()

    async def _claim(self, free: Slots) -> None:
        self._next_due = None
        try:
            claimed = await self._store.claim(self._node_id, free, self._clock.now())
        except StoreError as error:
            self._log.warning("can't claim jobs, trying again", error=str(error))
            self._may_have_work = True
            await asyncio.sleep(RETRY_S)
            return
        for job in claimed.jobs:
            self._slots.take(job)
            self._run(job)
        self._note(claimed, free)
        if self._may_have_work and self._slots.free().total < self._slots.total // GATHER_SHARE:
            await asyncio.sleep(GATHER_S)

    def _note(self, claimed: Claimed, free: Slots) -> None:
        """Remember whether more is waiting (a limit was reached) and when the next job becomes due."""
        execs = sum(map(is_exec, claimed.jobs))
        self._may_have_work = len(claimed.jobs) >= free.total or (execs >= free.exec > 0)
        if claimed.next_due is not None:
            self.work_arrived(claimed.next_due)

    async def _sleep(self) -> None:
        delay = POLL_S
        if self._next_due is not None and self._slots.free().total:
            delay = min(delay, max(0.0, (self._next_due - self._clock.now()) / SECOND))
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            self._may_have_work = True
