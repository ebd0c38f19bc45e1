"""Whether there may be jobs to claim, and when the next one becomes due. Never asks the store: it is told."""

from queue_server.domain.job import Job
from queue_server.engine.slots import is_exec
from queue_server.store.contract import Claimed

POLL_S = 5.0
"""The longest sleep: for the case that the machine's clock was set, or another program put work into the store."""

SHARED_POLL_S = 60.0
"""The same where nodes share a store: it tells every second of jobs that wait, whoever stored them."""

SECOND = 1_000_000


class Demand:
    """What is known about waiting work. Starts by assuming that there is some, and again after `poll_s` in silence."""

    def __init__(self, poll_s: float = POLL_S) -> None:
        self._poll_s = poll_s
        self._may_have_work = True
        self._next_due: int | None = None

    def arrived(self, run_at: int) -> None:
        """Jobs have been stored; the first may run at `run_at`."""
        if self._next_due is None or run_at < self._next_due:
            self._next_due = run_at

    def slot_freed(self, job: Job) -> None:
        """A slot is free again. Commands have their own limit, so a waiting one may have been passed over."""
        if is_exec(job):
            self._may_have_work = True

    def assume_work(self) -> None:
        """Look again: after the longest sleep, or because a claim failed."""
        self._may_have_work = True

    def is_there(self, now: int) -> bool:
        """Whether a claim may find something at `now`."""
        return self._may_have_work or (self._next_due is not None and self._next_due <= now)

    def asked(self) -> None:
        """A claim is on its way: what arrives from now on is new."""
        self._may_have_work = False
        self._next_due = None

    def answered(self, claimed: Claimed) -> None:
        """What the claim found. It may have taken fewer than it could: only none says that nothing is there."""
        if claimed.jobs or claimed.overdue:
            self._may_have_work = True
        if claimed.next_due is not None:
            self.arrived(claimed.next_due)

    def seconds_to_sleep(self, now: int) -> float:
        """How long to wait for a sign before looking again."""
        if self._next_due is None:
            return self._poll_s
        return min(self._poll_s, max(0.0, (self._next_due - now) / SECOND))
