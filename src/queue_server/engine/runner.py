"""Runs one job: executor → outcome → decision. An ordinary failure is an outcome, not an exception."""

import asyncio
from collections.abc import Callable, Mapping

from queue_server.clock import Clock
from queue_server.domain.command import Unreadable
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

    def on_decision(self, decided: Callable[[Job, Transition], None]) -> None:
        """Tell `decided` what becomes of each job that was started."""
        self._decided = decided

    def start(self, job: Job) -> None:
        """Run a claimed job. Its task is held here, not in a TaskGroup: at 10,000 jobs a second that is too dear."""
        task = self._loop.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_idle(self, seconds: float | None) -> bool:
        """Wait until no job runs, at most for `seconds` if given; whether that came true."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        return not self._tasks

    def interrupt_all(self) -> int:
        """Interrupt every running job; how many there were. Their outcome gives them back."""
        for task in self._tasks:
            task.cancel()
        return len(self._tasks)

    async def _run(self, job: Job) -> None:
        started_at = self._clock.now()
        try:
            executor = self._executors.get(type(job.plan.command))
            outcome = await executor.run(job) if executor else _refuse(job)
        except asyncio.CancelledError:
            self._decide(job, INTERRUPTED, started_at)
            raise
        except Exception as error:  # noqa: BLE001 (a mistake of ours must end this job only, and be seen)
            self._log.exception("an executor failed; this is a bug, please report it", job_id=job.id)
            outcome = Outcome(OutcomeKind.FAILED, error=f"internal error: {type(error).__name__}: {error}")
        self._decide(job, outcome, started_at)

    def _decide(self, job: Job, outcome: Outcome, started_at: int) -> None:
        moment = Moment(self._clock.now(), started_at, self._chance())
        self._decided(job, decide(job, outcome, moment))


def _refuse(job: Job) -> Outcome:
    command = job.plan.command
    error = command.reason if isinstance(command, Unreadable) else "commands are switched off (setting exec)"
    return Outcome(OutcomeKind.FAILED, error=error)


def _nobody(_job: Job, _transition: Transition) -> None:
    raise RuntimeError("a job ended before anybody wanted to know")
