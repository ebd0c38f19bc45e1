"""What the engine expects of an executor."""

from typing import Protocol

from queue_server.domain.job import Job
from queue_server.domain.outcome import Outcome


class Executor(Protocol):
    """Runs the commands of one type."""

    async def start(self) -> None:
        """Get ready; called once before the first run."""
        ...

    async def run(self, job: Job) -> Outcome:
        """Run the job's command to its end, at most for its timeout, and say what happened.

        An ordinary failure (refused, status 500, exit code 1, timed out) is an Outcome, not an exception. When the
        calling task is cancelled, nothing of the run is left behind (the process group is killed) and CancelledError
        goes on.
        """
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
