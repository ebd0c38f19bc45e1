"""One line for each end of a job (or of an attempt that will be followed by another).

These lines are as frequent as jobs, so they are made without the logger's machinery.
"""

from typing import Any

from queue_server.domain.command import summary
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.telemetry.logs import DIM, LogOutput, printable

GREEN, RED, YELLOW, BLUE = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[34m"
MARKS = {
    State.COMPLETED: ("✓", GREEN),
    State.FAILED: ("✗", RED),
    State.CANCELLED: ("-", YELLOW),
    State.SCHEDULED: ("↻", BLUE),
    State.AVAILABLE: ("↻", BLUE),
}


class JobLog:
    """Writes the ends of jobs to the log; nothing when the log's level is above info."""

    def __init__(self, output: LogOutput, level: str) -> None:
        self._output = output
        self._is_on = level in ("debug", "info")

    def ended(self, job: Job, change: Transition) -> None:
        """An attempt of `job` ended with `change`."""
        if not self._is_on:
            return
        if self._output.style == "json":
            self._output.write_json("info", f"job {change.state}", fields_of(job, change))
        else:
            self._output.sink.write(self._line(job, change))

    def _line(self, job: Job, change: Transition) -> str:
        mark, colour = MARKS[change.state]
        paint = self._output.paint
        what = printable(f"{_kind(job)} {job.id} {_verb(change)}")
        parts = [f"{paint(self._output.time_of_day(), DIM)}  {paint(f'{mark} {what}', colour)}"]
        parts.append(printable(_result(change) + summary(job.plan.command)))
        if change.reason:
            parts.append(printable(change.reason))
        parts.append(paint(printable(job.context), DIM))
        return "  ".join(parts)


def fields_of(job: Job, change: Transition) -> dict[str, Any]:
    """The facts of an attempt's end, for programs."""
    fields: dict[str, Any] = {
        "job_id": job.id,
        "state": change.state,
        "attempt": job.attempt,
        "context": job.context,
        "command": summary(job.plan.command),
    }
    if change.attempt is not None:
        fields["outcome"] = change.attempt.outcome
        fields["exit_code"] = change.attempt.exit_code
        fields["duration_s"] = _seconds(change)
    if change.reason:
        fields["reason"] = change.reason
    if job.plan.report is not None:
        fields["callback_of"] = job.plan.report.job_id
    return fields


def _kind(job: Job) -> str:
    report = job.plan.report
    return "job" if report is None else f"callback of job {report.job_id}: job"


def _verb(change: Transition) -> str:
    match change.state:
        case State.SCHEDULED:
            return "will be tried again"
        case State.AVAILABLE:
            return "given back"
        case _:
            return str(change.state)


def _result(change: Transition) -> str:
    attempt = change.attempt
    if attempt is None:
        return ""
    code = "" if attempt.exit_code is None else f"{attempt.exit_code} "
    return f"{code}in {_seconds(change):.3f} s  "


def _seconds(change: Transition) -> float:
    return 0.0 if change.attempt is None else max(0, change.attempt.ended_at - change.attempt.started_at) / 1_000_000
