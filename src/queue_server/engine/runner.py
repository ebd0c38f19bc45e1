"""Runs one job: executor → outcome → decision. An ordinary failure is an outcome, not an exception."""

import asyncio
from collections.abc import Callable, Mapping

from queue_server.clock import Clock
from queue_server.domain.command import Command, ExecCommand, HttpCommand, Unreadable
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Moment, Transition, decide
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.executors.contract import Executor
from queue_server.telemetry.logs import Log

INTERRUPTED = Outcome(OutcomeKind.INTERRUPTED)


class Runner:
    """Has a task for each running job."""

    def __init__(
        self,
        executors: Mapping[type[Command], Executor],
        clock: Clock,
        chance: Callable[[], float],
        log: Log,
    ) -> None:
        self._executors = executors
        self._clock = clock
        self._chance = chance
        self._log = log
        self._decided: Callable[[Job, Transition], None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._closed = asyncio.Event()

    async def serve(self, decided: Callable[[Job, Transition], None]) -> None:
        """Hold the tasks until `close` was called and the last one has ended; tell `decided` what becomes of each job."""
        self._decided = decided
        async with asyncio.TaskGroup() as self._group:
            await self._closed.wait()

    def start(self, job: Job) -> None:
        """Run a claimed job."""
        assert self._group is not None, "serve first"
        task = self._group.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_idle(self, seconds: float) -> bool:
        """Wait until no job runs, at most for `seconds`; whether that came true."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        return not self._tasks

    def interrupt_all(self) -> int:
        """Interrupt every running job; how many there were. Their outcome gives them back."""
        for task in self._tasks:
            task.cancel()
        return len(self._tasks)

    def close(self) -> None:
        """Let `serve` end with the last job."""
        self._closed.set()

    async def _run(self, job: Job) -> None:
        started_at = self._clock.now()
        try:
            outcome = await self._execute(job)
        except asyncio.CancelledError:
            self._decide(job, INTERRUPTED, started_at)
            raise
        self._decide(job, outcome, started_at)

    async def _execute(self, job: Job) -> Outcome:
        match job.plan.command:
            case Unreadable(reason=reason):
                return Outcome(OutcomeKind.FAILED, error=reason)
            case HttpCommand() | ExecCommand() as command:
                executor = self._executors.get(type(command))
        if executor is None:
            return Outcome(OutcomeKind.FAILED, error="commands are switched off on this server (setting exec)")
        try:
            return await executor.run(job)
        except Exception as error:  # noqa: BLE001 (a mistake of ours must end this job only, and be seen)
            self._log.exception("an executor failed; this is a bug, please report it", job_id=job.id)
            return Outcome(OutcomeKind.FAILED, error=f"internal error: {type(error).__name__}: {error}")

    def _decide(self, job: Job, outcome: Outcome, started_at: int) -> None:
        assert self._decided is not None, "serve first"
        moment = Moment(self._clock.now(), started_at, self._chance())
        self._decided(job, decide(job, outcome, moment))
