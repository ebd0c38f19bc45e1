"""One line for each end of a job (or of an attempt that will be followed by another).

These lines are as frequent as jobs, so they are made without the logger's machinery.
"""

from typing import Any

from queue_server.domain.command import ExecCommand, summary
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.telemetry.logs import DIM, RESET, LogOutput, printable

GREEN, RED, YELLOW, BLUE = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[34m"
MARKS = {
    State.COMPLETED: ("✓", GREEN),
    State.FAILED: ("✗", RED),
    State.CANCELLED: ("-", YELLOW),
    State.SCHEDULED: ("↻", BLUE),
    State.AVAILABLE: ("↻", BLUE),
    State.RUNNING: ("…", BLUE),
}
VERBS = {state: str(state) for state in State} | {
    State.SCHEDULED: "will be tried again",
    State.AVAILABLE: "given back",
    State.RUNNING: "continued",
}


class JobLog:
    """Writes the ends of jobs to the log; nothing when the log's level is above info."""

    def __init__(self, output: LogOutput, level: str) -> None:
        self._output = output
        self._is_on = level in ("debug", "info")

    def ended(self, job: Job, change: Transition) -> None:
        """An attempt of `job` ended with `change`, or goes on at its target past its request."""
        if not self._is_on:
            return
        if self._output.style == "json":
            self._output.write_json("info", f"job {change.state}", fields_of(job, change))
        else:
            self._output.sink.write(self._line(job, change))

    def _line(self, job: Job, change: Transition) -> str:
        mark, colour = MARKS[change.state]
        report, attempt = job.plan.report, change.attempt
        who = f"job {job.id}" if report is None else f"callback of job {report.job_id}: job {job.id}"
        head = f"{mark} {who} {VERBS[change.state]}"
        result = "" if attempt is None else f"{_code(job, attempt.exit_code)}in {_seconds(change):.3f} s  "
        reason = f"  {change.reason}" if change.reason else ""
        body = f"  {result}{summary(job.plan.command)}{reason}  "
        if self._output.colour:
            time, context = (
                f"{DIM}{self._output.time_of_day()}{RESET}",
                f"{DIM}{printable(job.context)}{RESET}",
            )
            return f"{time}  {colour}{head}{RESET}{printable(body)}{context}"
        return f"{self._output.time_of_day()}  {printable(head + body + job.context)}"


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


def _code(job: Job, exit_code: int | None) -> str:
    if exit_code is None:
        return ""
    return f"exit {exit_code} " if isinstance(job.plan.command, ExecCommand) else f"{exit_code} "


def _seconds(change: Transition) -> float:
    return 0.0 if change.attempt is None else max(0, change.attempt.ended_at - change.attempt.started_at) / 1_000_000
