"""Runs one job: executor → outcome → decision. An ordinary failure is an outcome, not an exception."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from queue_server.clock import Clock
from queue_server.domain.command import Unreadable
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import CANCELLED, Job
from queue_server.domain.lifecycle import Moment, Transition, decide
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.executors.contract import Executor, RunCancelled
from queue_server.telemetry.logs import Log

SECOND = 1_000_000
WISHES_KEPT = 10_000
"""Wishes to cancel may come before their job's claim or after its end: so many are remembered, which is plenty."""


class Runner:
    """Has a task for each running job."""

    def __init__(
        self,
        executors: Mapping[type, Executor],
        clock: Clock,
        chance: Callable[[], float],
        log: Log,
    ) -> None:
        self._executors = executors
        self._clock = clock
        self._chance = chance
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._decided: Callable[[Job, Transition], None] = _nobody
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._wishes: dict[tuple[int, int], str] = {}

    def on_decision(self, decided: Callable[[Job, Transition], None]) -> None:
        """Tell `decided` what becomes of each job that was started."""
        self._decided = decided

    def start(self, job: Job) -> None:
        """Run a claimed job. Its task is held here, not in a TaskGroup: at 10,000 jobs a second that is too dear."""
        task = self._loop.create_task(self._run(job))
        self._tasks.add(task)
        self._runs[job.id, job.claim_seq] = task
        task.add_done_callback(self._tasks.discard)

    def cancel(self, job_id: int, claim_seq: int, reason: str = CANCELLED) -> None:
        """Interrupt a job that somebody wants cancelled. One whose claim is still on its way here ends as it starts."""
        self._wishes[job_id, claim_seq] = reason
        if len(self._wishes) > WISHES_KEPT:
            del self._wishes[next(iter(self._wishes))]
        self.interrupt(job_id, claim_seq)

    def interrupt(self, job_id: int, claim_seq: int) -> None:
        """Interrupt a job if it runs."""
        if task := self._runs.get((job_id, claim_seq)):
            self._interrupt(task)

    async def wait_idle(self, seconds: float | None) -> bool:
        """Wait until no job runs, at most for `seconds` if given; whether that came true."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        return not self._tasks

    def interrupt_all(self) -> int:
        """Interrupt every running job; how many there were. Their outcome gives them back."""
        for task in self._tasks:
            self._interrupt(task)
        return len(self._tasks)

    def _interrupt(self, task: asyncio.Task[None]) -> None:
        """Soon, not now: a task that was made a moment ago has to begin, or it would end without a decision."""
        self._loop.call_soon(task.cancel)

    async def _run(self, job: Job) -> None:
        started_at = self._clock.now()
        try:
            outcome = await self._execute(job, started_at)
        except asyncio.CancelledError as end:
            self._decide(job, _interrupted(end), started_at)
            raise
        except Exception as error:  # noqa: BLE001 (a mistake of ours must end this job only, and be seen)
            self._log.exception("an executor failed; this is a bug, please report it", job_id=job.id)
            outcome = Outcome(OutcomeKind.FAILED, error=f"internal error: {type(error).__name__}: {error}")
        self._decide(job, outcome, started_at)

    async def _execute(self, job: Job, now: int) -> Outcome:
        if self._wishes and (job.id, job.claim_seq) in self._wishes:
            return Outcome(OutcomeKind.INTERRUPTED)
        executor = self._executors.get(type(job.plan.command))
        if executor is None:
            return _refuse(job)
        deadline = job.plan.deadline
        if deadline is None:
            return await executor.run(job)
        if deadline <= now:
            return Outcome(
                OutcomeKind.TIMED_OUT, error=f"its deadline, {rfc3339(deadline)}, had passed before it started"
            )
        return await executor.run(job, (deadline - now) / SECOND)

    def _decide(self, job: Job, outcome: Outcome, started_at: int) -> None:
        self._runs.pop((job.id, job.claim_seq), None)
        if self._wishes and (job.id, job.claim_seq) in self._wishes:
            reason = self._wishes.pop((job.id, job.claim_seq))
            job = msgspec.structs.replace(job, is_cancel_wished=True, cancel_reason=reason)
            if outcome.kind is OutcomeKind.INTERRUPTED:
                outcome = msgspec.structs.replace(outcome, kind=OutcomeKind.CANCELLED, error=reason)
        moment = Moment(self._clock.now(), started_at, self._chance())
        self._decided(job, decide(job, outcome, moment))


def _interrupted(end: asyncio.CancelledError) -> Outcome:
    """The outcome of a run that was cancelled, with what it has told until then."""
    if isinstance(end, RunCancelled):
        return Outcome(OutcomeKind.INTERRUPTED, output=end.output, timings=end.timings)
    return Outcome(OutcomeKind.INTERRUPTED)


def _refuse(job: Job) -> Outcome:
    command = job.plan.command
    error = command.reason if isinstance(command, Unreadable) else "commands are switched off (setting exec)"
    return Outcome(OutcomeKind.FAILED, error=error)


def _nobody(_job: Job, _transition: Transition) -> None:
    raise RuntimeError("a job ended before anybody wanted to know")
