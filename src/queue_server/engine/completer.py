"""Writes decisions to the store in batches: while one batch is being written the next collects."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import NO_OUTPUT
from queue_server.store.contract import Store
from queue_server.telemetry.logs import Log

Ended = Callable[[Job, Transition, bool], None]
"""Told of each decision once it is durable, and whether it applied (False: the claim was no longer the job's)."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Completer:
    """Takes decisions with `put`, never loses one while the process lives, and tells `ended` of each.

    Bounded by the slots: a job keeps its slot until its decision is durable.
    """

    def __init__(self, store: Store, ended: Ended, log: Log) -> None:
        self._store = store
        self._ended = ended
        self._log = log
        self._pending: list[tuple[Job, Transition]] = []
        self._wake = asyncio.Event()
        self._closing = False

    def put(self, job: Job, transition: Transition) -> None:
        """Have a decision written."""
        self._pending.append((job, transition))
        self._wake.set()

    def close(self) -> None:
        """Let `run` end when everything is written."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Write batches until closed."""
        while not (self._closing and not self._pending):
            await self._wake.wait()
            self._wake.clear()
            batch, self._pending = self._pending, []
            if batch:
                await self._write(batch)
            if self._closing:
                self._wake.set()

    async def _write(self, batch: Sequence[tuple[Job, Transition]]) -> None:
        try:
            flags = await self._finish([transition for _, transition in batch])
        except StoreError as error:
            await self._write_one_by_one(batch, error)
            return
        for (job, transition), applied in zip(batch, flags, strict=True):
            self._ended(job, transition, applied)

    async def _finish(self, transitions: Sequence[Transition]) -> Sequence[bool]:
        """Write, trying again for as long as the store says that it can't just now."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                return await self._store.finish(transitions)
            except StoreUnavailable as error:
                self._log.warning("can't store the end of jobs, trying again", jobs=len(transitions), error=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _write_one_by_one(self, batch: Sequence[tuple[Job, Transition]], error: StoreError) -> None:
        """One bad decision must not hold up the others; without its output even that one can be stored."""
        if len(batch) > 1:
            for item in batch:
                await self._write([item])
            return
        job, transition = batch[0]
        bare = without_output(transition, str(error))
        if bare == transition:
            self._log.error("the end of a job can't be stored", job_id=job.id, error=str(error))
            self._ended(job, transition, False)
            return
        await self._write([(job, bare)])


def without_output(transition: Transition, why: str) -> Transition:
    """The transition with an attempt that has no output and says why."""
    attempt = transition.attempt
    if attempt is None or attempt.output is NO_OUTPUT:
        return transition
    bare = msgspec.structs.replace(attempt, output=NO_OUTPUT, error=f"its output was dropped: {why}")
    return msgspec.structs.replace(transition, attempt=bare)
