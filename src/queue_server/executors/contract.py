"""What the engine expects of an executor."""

import asyncio
from typing import Protocol

from queue_server.domain.job import Job
from queue_server.domain.outcome import NO_TIMINGS, Outcome, Output, Timings
from queue_server.executors.live import LiveOutput


class RunCancelled(asyncio.CancelledError):
    """A run was cancelled; it has told `output` until then."""

    def __init__(self, output: Output, timings: Timings = NO_TIMINGS) -> None:
        super().__init__()
        self.output = output
        self.timings = timings


class Executor(Protocol):
    """Runs the commands of one type."""

    async def start(self) -> None:
        """Get ready; called once before the first run."""
        ...

    async def run(self, job: Job, time_left: float | None = None) -> Outcome:
        """Run the job's command to its end and say what happened.

        It may take as long as its timeout, and no longer than `time_left`: the seconds until the job's deadline. An
        ordinary failure (refused, status 500, exit code 1, timed out) is an Outcome, not an exception. When the
        calling task is cancelled, nothing of the run is left behind (the process group is killed) and CancelledError
        goes on, as a RunCancelled where the run had begun.
        """
        ...

    def live(self, job_id: int, claim_seq: int | None = None) -> LiveOutput | None:
        """What the job's run has told so far; None if it does not run here, or not by this claim."""
        ...

    def ahead(self) -> int:
        """How many more jobs than slots are worth claiming now, because they will run in no time."""
        ...

    def kill_at_once(self) -> None:
        """From now on, end cancelled runs without giving them time."""
        ...

    async def stop(self) -> None:
        """Give back everything held. No run is under way any more."""
        ...
