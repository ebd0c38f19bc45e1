"""Waiting for jobs to end, and telling what became of them."""

import sys

from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.terminal import is_terminal, say, say_error
from queue_server.client import Client, Job, StillGoingOn
from queue_server.clock import Clock
from queue_server.config.units import format_duration

RETRY_FOR_S = 60.0
"""Who waits also waits for a server that restarts."""


class Patience:
    """How long may be waited in all: `timeout` seconds from now, or for ever."""

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        self.timeout = timeout
        self._end = None if timeout is None else clock.monotonic() + timeout

    @property
    def left(self) -> float | None:
        """Seconds that are left, not below 0; None for ever."""
        return None if self._end is None else max(0.0, self._end - self._clock.monotonic())


def wait_for(client: Client, job_id: int, patience: Patience) -> Job:
    """The job when it is final; CommandError with TIMEOUT when patience ends before."""
    try:
        return client.wait(job_id, patience.left)
    except StillGoingOn as error:
        waited = format_duration(patience.timeout or 0.0)
        raise CommandError(f"job {job_id} is still {error.last.state} after {waited}", Exit.TIMEOUT) from None


def report(job: Job) -> Exit:
    """The exit code for a job that ended. A failure is told in any case, a success to a person only."""
    if job.has_failed:
        say_error(sentence(job))
        return Exit.JOB_FAILED
    if is_terminal(sys.stderr):
        say(sentence(job))
    return Exit.OK


def sentence(job: Job) -> str:
    """What became of a job."""
    told = job.reason or job.error
    return f"job {job.id} {job.state}" + (f": {told}" if told else "")
