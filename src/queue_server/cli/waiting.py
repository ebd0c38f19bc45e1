"""Waiting for jobs to end, by asking: soon at first, for short jobs, then once a second."""

import sys
import time
from collections.abc import Iterator

from queue_server.cli.client import Api
from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.terminal import is_terminal, say, say_error
from queue_server.cli.wire import Job
from queue_server.clock import Clock
from queue_server.config.units import format_duration

FIRST_PAUSE_S, LONGEST_PAUSE_S, GROWTH = 0.1, 1.0, 1.5


class Patience:
    """How long may be waited in all: `timeout` seconds from now, or for ever."""

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        self.timeout = timeout
        self._end = float("inf") if timeout is None else clock.monotonic() + timeout

    @property
    def left(self) -> float:
        """Seconds that are left, not below 0."""
        return max(0.0, self._end - self._clock.monotonic())


def wait_for(api: Api, job_id: int, patience: Patience) -> tuple[bytes, Job]:
    """The job when it is final, as in `Api.job`; CommandError with TIMEOUT when patience ends before."""
    for pause in _pauses():
        raw, job = api.job(job_id)
        if job.is_final:
            return raw, job
        if not patience.left:
            waited = format_duration(patience.timeout or 0.0)
            raise CommandError(f"job {job_id} is still {job.state} after {waited}", Exit.TIMEOUT)
        time.sleep(min(pause, patience.left))
    raise AssertionError  # pauses never end


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


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_PAUSE_S)
