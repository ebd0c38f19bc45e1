"""Hands the ends of jobs to the store and takes new jobs from it, both in one transaction: a turn.

While one turn is being written the next collects. At idle a turn is one job and waits for nothing. Under load each turn
first gathers for a moment, so that it moves many jobs with one commit.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from queue_server.clock import Clock
from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Moment, Transition, decide, overdue
from queue_server.domain.outcome import NO_OUTPUT
from queue_server.domain.state import State
from queue_server.engine.demand import POLL_S, SHARED_POLL_S, Demand
from queue_server.engine.outage import Outage
from queue_server.engine.slots import SlotPool
from queue_server.store.contract import Claim, Store, Turn
from queue_server.telemetry.job_events import JobEvents
from queue_server.telemetry.logs import Log

Decision = tuple[Job, Transition]
Ended = Callable[[Job, Transition, bool], None]
"""Told of each decision once it is durable, and whether it applied (False: the job was no longer this claim's)."""

GATHER_S = 0.002
GATHER_FROM = 4
"""After a turn that moved so many jobs the next one gathers (docs/decisions/0005)."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Dispatcher:
    """Keeps the node's slots filled while there is work, and loses no decision while the process lives.

    Bounded by the slots: a job keeps its slot until its end is durable.
    """

    def __init__(
        self,
        store: Store,
        node_id: int,
        *,
        slots: SlotPool,
        clock: Clock,
        start: Callable[[Job], None],
        ended: Ended,
        events: JobEvents,
        log: Log,
        outage: Outage,
    ) -> None:
        self._store = store
        self._node_id = node_id
        self._slots = slots
        self._clock = clock
        self._start = start
        self._ended = ended
        self._events = events
        self._log = log
        self._outage = outage
        self._demand = Demand(SHARED_POLL_S if store.is_shared else POLL_S)
        self._decisions: list[Decision] = []
        self._held: set[tuple[int, int]] = set()
        self._claimed_at = 0
        self._wake = asyncio.Event()
        self._is_claiming = True
        self._is_paused = False
        self._no_claim_is_open = asyncio.Event()
        self._no_claim_is_open.set()
        self._is_closing = False
        self._moved = 0
        self._pause = FIRST_PAUSE_S
        store.on_arrival(self._arrived)

    def put(self, job: Job, transition: Transition) -> None:
        """Have a decision written."""
        self._decisions.append((job, transition))
        self._wake.set()

    @property
    def held(self) -> set[int]:
        """The ids of jobs that run here, or whose end is not durable yet."""
        return {job_id for job_id, _ in self._held}

    def is_stray(self, job: Job) -> bool:
        """Whether this node does not know of a claim of its own, and no answer that would tell of it is on its way."""
        is_told = self._no_claim_is_open.is_set() or job.claimed_at < self._claimed_at
        return is_told and (job.id, job.claim_seq) not in self._held

    async def stop_claiming(self) -> None:
        """Take no more jobs. Returns when those of a claim that was on its way have started too."""
        self._is_claiming = False
        await self._no_claim_is_open.wait()

    def pause_claiming(self) -> None:
        """Take no jobs until `resume_claiming`. Those of a claim that is on its way still start."""
        self._is_paused = True

    def resume_claiming(self) -> None:
        """Take jobs again."""
        self._is_paused = False
        self._demand.assume_work()
        self._wake.set()

    def close(self) -> None:
        """Let `run` end when everything is written."""
        self._is_closing = True
        self._wake.set()

    async def run(self) -> None:
        """Take turns until closed."""
        while not (self._is_closing and not self._decisions):
            self._wake.clear()
            if self._decisions or self._can_claim():
                if self._moved >= GATHER_FROM:
                    await asyncio.sleep(GATHER_S)
                await self._turn()
            else:
                self._moved = 0
                await self._sleep()

    def _arrived(self, run_at: int) -> None:
        self._demand.arrived(run_at)
        self._wake.set()

    def _can_claim(self) -> bool:
        return self._can_take() and self._demand.is_there(self._clock.now())

    def _can_take(self) -> bool:
        return self._is_claiming and not self._is_paused and self._slots.free().total > 0

    async def _turn(self) -> None:
        decisions, self._decisions = self._decisions, []
        for job, _ in decisions:
            if job.state is State.RUNNING:
                self._slots.release(job)  # in the turn's transaction, in which the next job may take it
                self._demand.slot_freed(job)
        claim = self._claim()
        try:
            turn = await self._store.turn([transition for _, transition in decisions], claim)
        except StoreError as error:
            self._no_claim_is_open.set()
            self._demand.assume_work()
            await (self._write(decisions, error) if decisions else self._wait_after(error))
            return
        self._written()
        self._moved = len(decisions) + len(turn.claimed.jobs)
        for job in turn.claimed.jobs:
            self._slots.take(job)
            self._held.add((job.id, job.claim_seq))
            self._start(job)
        for job in turn.claimed.overdue:
            now = self._clock.now()
            self.put(job, decide(job, overdue(job, now), Moment(now, now)))
        self._no_claim_is_open.set()
        if claim is not None:
            self._demand.answered(turn.claimed)
        self._tell(decisions, turn)

    def _claim(self) -> Claim | None:
        if not self._can_claim():
            return None
        self._demand.asked()
        self._no_claim_is_open.clear()
        self._claimed_at = self._clock.now()
        return Claim(self._node_id, self._slots.free(), self._claimed_at)

    async def _sleep(self) -> None:
        """Wait for a decision, an arrival or a free slot; at most until the next job becomes due."""
        delay = self._demand.seconds_to_sleep(self._clock.now()) if self._can_take() else None
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            self._demand.assume_work()

    async def _write(self, decisions: Sequence[Decision], error: StoreError) -> None:
        """Write decisions without a claim after a turn failed: for as long as it takes, and around a bad one."""
        while isinstance(error, StoreUnavailable):
            if self._is_closing and self._pause == LONGEST_PAUSE_S:
                self._log.error("the ends of jobs are lost: their jobs will run again", jobs=len(decisions))
                return
            await self._wait_after(error)
            try:
                turn = await self._store.turn([transition for _, transition in decisions], None)
            except StoreError as again:
                error = again
            else:
                self._written()
                self._tell(decisions, turn)
                return
        await self._write_around(decisions, error)

    def _written(self) -> None:
        self._pause = FIRST_PAUSE_S
        self._outage.over()

    async def _wait_after(self, error: StoreError) -> None:
        """Wait after a turn that failed, longer each time until one succeeds."""
        self._outage.noticed(error)
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)

    async def _write_around(self, decisions: Sequence[Decision], error: StoreError) -> None:
        """One decision that can't be stored must not hold up the others; without its output even that one can."""
        if len(decisions) != 1:
            for decision in decisions:
                await self._write_alone(decision)
            return
        job, transition = decisions[0]
        bare = without_output(transition, str(error))
        if bare is transition:
            self._log.error("the end of a job can't be stored", job_id=job.id, error=str(error))
            self._ended(job, transition, False)
        else:
            await self._write_alone((job, bare))

    async def _write_alone(self, decision: Decision) -> None:
        try:
            turn = await self._store.turn([decision[1]], None)
        except StoreError as error:
            await self._write([decision], error)
        else:
            self._tell([decision], turn)

    def _tell(self, decisions: Sequence[Decision], turn: Turn) -> None:
        for (job, transition), is_applied in zip(decisions, turn.applied, strict=True):
            self._held.discard((job.id, job.claim_seq))
            self._ended(job, transition, is_applied)
        if self._events.is_heard:
            for job_id, row in turn.callbacks:
                self._events.added(job_id, row)
            for job in turn.claimed.jobs:
                self._events.started(job)


def without_output(transition: Transition, why: str) -> Transition:
    """The transition with an attempt that has no output and says why; the same where there is none to leave out."""
    attempt = transition.attempt
    if attempt is None or attempt.output == NO_OUTPUT:
        return transition
    bare = msgspec.structs.replace(attempt, output=NO_OUTPUT, error=f"its output was dropped: {why}")
    return msgspec.structs.replace(transition, attempt=bare)
