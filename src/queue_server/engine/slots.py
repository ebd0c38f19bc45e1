"""How many jobs run, and how many more may."""

from collections.abc import Callable

from queue_server.domain.command import ExecCommand
from queue_server.domain.job import Job
from queue_server.store.contract import Slots


class SlotPool:
    """The job slots of this node. A slot is taken from the claim until the job's end is durable."""

    def __init__(self, total: int, exec_limit: int, exec_ahead: Callable[[], int]) -> None:
        self.total = total
        self._exec_ahead = exec_ahead
        self._exec_limit = exec_limit
        self._used = 0
        self._exec_used = 0

    @property
    def used(self) -> int:
        """Slots taken."""
        return self._used

    def free(self) -> Slots:
        """What a claim may take now."""
        total = self.total - self._used
        for_commands = self._exec_limit + self._exec_ahead() - self._exec_used
        return Slots(total, total, max(0, min(total, for_commands)))

    def take(self, job: Job) -> None:
        """Take a slot for a claimed job."""
        self._used += 1
        self._exec_used += is_exec(job)

    def release(self, job: Job) -> None:
        """Free the slot of a job whose end is durable."""
        self._used -= 1
        self._exec_used -= is_exec(job)


def is_exec(job: Job) -> bool:
    """Whether the job runs a command on this machine."""
    return isinstance(job.plan.command, ExecCommand)
