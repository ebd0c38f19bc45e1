"""What a command's end means: from its exit code, or the signal that killed it, to an outcome."""

from queue_server.domain.command import ExecCommand
from queue_server.domain.expect import EXIT_DEFAULT, EXIT_RANGE, expected_codes
from queue_server.domain.outcome import FAILED, SUCCEEDED, TIMED_OUT, Outcome, Output
from queue_server.executors.launcher.client import End, Lost
from queue_server.executors.launcher.messages import Ended, Refused
from queue_server.executors.launcher.processes import signal_name

ERROR_LIMIT = 200
"""Characters of a command's own words in an outcome's error."""

LAST_PART = 16 * 1024
"""Bytes at the end of an output in which its last line is looked for."""


def outcome_of(command: ExecCommand, end: End | None, output: Output, overtime: str | None) -> Outcome:
    """The outcome. `overtime` says how its end was brought about, if its time was up."""
    match end:
        case Refused(_, reason) | Lost(reason):
            return Outcome(FAILED, error=reason, output=output)
        case None:
            return Outcome(TIMED_OUT, error=overtime, output=output)
        case Ended(_, status):
            return _outcome_of_ended(command, status, output, overtime)


def _outcome_of_ended(command: ExecCommand, status: int, output: Output, overtime: str | None) -> Outcome:
    """Killed by signal N counts as ended with exit code 128 + N, also for `expect`, as it does in a shell."""
    name = signal_name(-status) if status < 0 else None
    code = 128 - status if status < 0 else status
    if overtime:
        return Outcome(TIMED_OUT, exit_code=code, signal=name, error=overtime, output=output)
    if code in expected_codes(EXIT_DEFAULT if command.expect is None else command.expect, EXIT_RANGE):
        return Outcome(SUCCEEDED, exit_code=code, signal=name, output=output)
    error = f"killed by {name}" if name else _failure(code, output)
    return Outcome(FAILED, exit_code=code, signal=name, error=error, output=output)


def _failure(code: int, output: Output) -> str:
    words = _last_line(output.error_text) or _last_line(output.text)
    return f"exit code {code}: {words}" if words else f"exit code {code}"


def _last_line(text: bytes) -> str:
    """The last line that is not empty, fit to be shown: cut, and without control characters."""
    for line in reversed(text[-LAST_PART:].decode(errors="replace").splitlines()):
        if words := "".join(sign if sign.isprintable() else " " for sign in line).strip():
            return words if len(words) <= ERROR_LIMIT else words[: ERROR_LIMIT - 1] + "…"
    return ""
