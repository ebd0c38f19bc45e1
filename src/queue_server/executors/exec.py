"""Runs commands on this server: each in its own session, with a clean environment, gone when it is over."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import CannotStart, SecretUnavailable
from queue_server.domain.expect import EXIT_DEFAULT, EXIT_RANGE, expected_codes
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import Job
from queue_server.domain.outcome import FAILED, SNOOZED, SUCCEEDED, TIMED_OUT, Outcome, Output
from queue_server.domain.placeholders import fill_exec, values_for
from queue_server.executors.contract import RunCancelled
from queue_server.executors.launcher.client import End, Launcher, Lost, Program, Run
from queue_server.executors.launcher.messages import Ended, Refused
from queue_server.executors.launcher.pipes import READ_SIZE, Streams
from queue_server.executors.launcher.processes import signal_name
from queue_server.executors.live import LiveOutput, LiveOutputs
from queue_server.executors.places import Places
from queue_server.vault.revealing import Revealer

CLEAN_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INHERITED = ("HOME", "USER", "LOGNAME", "SHELL", "TZ")
"""What a command sees of the server's own environment; settings, tokens and passwords stay out."""

CANCEL_PATIENCE_S = 0.5
"""How long a cancelled command may take to end by itself: it has to be gone within a second of the wish."""

KILL_PATIENCE_S = 5.0
"""How long the kernel may take to end a killed command. One that hangs there must not keep its slot."""

ERROR_LIMIT = 200
"""Characters of a command's own words in an outcome's error."""

UNLIMITED = 1_000_000
"""Places where nobody limits them."""

LAST_PART = 16 * 1024
"""Bytes at the end of an output in which its last line is looked for."""


class ExecExecutor:
    """Runs exec commands through a launcher process, at most for their timeout.

    `inherit` names more variables of the server's environment that commands may see. A command that names no
    working directory gets the one that the server was started in: so it was in the first Queue Server, whose
    users have relative paths in their commands. At most `places` commands run at once; more may be claimed, see Places.
    """

    def __init__(
        self,
        *,
        output_limit: int,
        default_timeout: float,
        revealer: Revealer,
        kill_after: float = 5.0,
        places: int | None = None,
        inherit: Sequence[str] = (),
    ) -> None:
        self._output_limit = output_limit
        self._default_timeout = default_timeout
        self._kill_after = kill_after
        self._revealer = revealer
        self._places = Places(places or UNLIMITED, time.monotonic)
        self._inherited = (*INHERITED, *inherit)
        self._environment: dict[bytes, bytes] = {}
        self._directory = b"/"
        self._scratch = memoryview(bytearray(READ_SIZE))
        self._starting = asyncio.Lock()
        self._launcher: Launcher | None = None
        self._is_impatient = False
        self._being_cancelled: set[Run] = set()
        self._live = LiveOutputs()

    async def start(self) -> None:
        """Start the launcher process; CannotStart when that is impossible."""
        self._environment = _clean_environment(self._inherited)
        self._directory = _working_directory()
        await self._living_launcher()

    def ahead(self) -> int:
        """See Executor.ahead."""
        return self._places.ahead()

    async def run(self, job: Job, time_left: float | None = None) -> Outcome:
        """Run the command to its end; see the contract. What it printed comes back byte for byte."""
        command = job.plan.command
        if not isinstance(command, ExecCommand):
            return Outcome(FAILED, error="this is not a command that can be run on the server")
        asked_at = time.monotonic()
        ticket = await self._places.take()
        if ticket is None:
            return Outcome(SNOOZED, error="put off: the commands before it take long")
        limit = _limit(job, command.timeout or self._default_timeout, time_left, time.monotonic() - asked_at)
        try:
            return await self._run_revealed(job, fill_exec(command, values_for(job)), limit)
        finally:
            self._places.leave(ticket)

    def live(self, job_id: int, claim_seq: int | None = None) -> LiveOutput | None:
        """See Executor.live."""
        return self._live.find(job_id, claim_seq)

    async def _run_revealed(self, job: Job, command: ExecCommand, limit: "TimeLimit") -> Outcome:
        if job.plan.secrets is None:
            return await self._run(job, command, limit)
        try:
            command, revealed = self._revealer.reveal(command, job.plan.secrets)
        except SecretUnavailable as error:
            return Outcome(FAILED, error=str(error))
        return revealed.hidden_in(await self._run(job, command, limit))

    async def _run(self, job: Job, command: ExecCommand, limit: "TimeLimit") -> Outcome:
        if limit.seconds <= 0:
            return Outcome(TIMED_OUT, error=f"{limit.what} before it could be started")
        try:
            launcher = await self._living_launcher()
            streams = Streams(_bytes(cast("str", command.stdin or "")), self._output_limit, self._scratch)
        except (CannotStart, OSError) as error:
            return Outcome(FAILED, error=f"the command could not be started: {error}")
        self._live.add(job.id, job.claim_seq, streams)
        try:
            run = launcher.run(self._program(job, command), streams.theirs)
            overtime = await self._see_through(run, limit)
            return _outcome(command, run.end, streams.finish(), overtime)
        except asyncio.CancelledError:
            raise RunCancelled(streams.finish()) from None
        finally:
            streams.close()
            self._live.end(job.id, streams)

    async def stop(self) -> None:
        """End the launcher process."""
        if self._launcher is not None:
            await self._launcher.close()

    def kill_at_once(self) -> None:
        """From now on kill cancelled commands without asking them first, those just being asked included."""
        self._is_impatient = True
        for run in self._being_cancelled:
            run.signal(signal.SIGKILL)

    async def _living_launcher(self) -> Launcher:
        if self._launcher is not None and not self._launcher.is_gone:
            return self._launcher
        async with self._starting:
            if self._launcher is None or self._launcher.is_gone:
                self._launcher = await Launcher.start()
            return self._launcher

    def _program(self, job: Job, command: ExecCommand) -> Program:
        argv = ["/bin/sh", "-c", command.cmd] if command.cmd is not None else command.args or []
        return Program(
            argv=[_bytes(text) for text in argv],
            environment=self._environment | _about(job) | _encoded(cast("Mapping[str, str]", command.env or {})),
            directory=_bytes(command.cwd) if command.cwd else self._directory,
        )

    async def _see_through(self, run: Run, limit: "TimeLimit") -> str | None:
        """Wait for the end. When time is up bring it about, and say how."""
        try:
            if await run.ends_within(limit.seconds):
                return None
            signals = await _end(run, self._kill_after)
        except asyncio.CancelledError:
            await self._end_cancelled(run)
            raise
        return f"{limit.what}; the process group was sent {signals}"

    async def _end_cancelled(self, run: Run) -> None:
        self._being_cancelled.add(run)
        try:
            await _end(run, 0 if self._is_impatient else CANCEL_PATIENCE_S)
        except asyncio.CancelledError:  # cancelled again: no more patience
            run.signal(signal.SIGKILL)
            await run.ends_within(KILL_PATIENCE_S)
        finally:
            self._being_cancelled.discard(run)


class TimeLimit(NamedTuple):
    """How long a run may take, and what is said when that is over."""

    seconds: float
    what: str


def _limit(job: Job, timeout_s: float, time_left: float | None, waited_s: float) -> TimeLimit:
    """The command's own limit, or the job's deadline where that comes first."""
    if time_left is None or time_left - waited_s >= timeout_s:
        return TimeLimit(timeout_s, f"timed out after {timeout_s:g} s")
    return TimeLimit(time_left - waited_s, f"its deadline, {rfc3339(job.plan.deadline)}, passed")


async def _end(run: Run, patience_s: float) -> str:
    """Ask the process group to end, and if it doesn't, kill it; name the signals that it was sent."""
    run.signal(signal.SIGTERM)
    if await run.ends_within(patience_s):
        return "SIGTERM"
    run.signal(signal.SIGKILL)
    has_ended = await run.ends_within(KILL_PATIENCE_S)
    return f"SIGTERM and, {patience_s:g} s later, SIGKILL" + ("" if has_ended else ", but has not ended yet")


def _outcome(command: ExecCommand, end: End | None, output: Output, overtime: str | None) -> Outcome:
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


def _about(job: Job) -> dict[bytes, bytes]:
    """What a command may want to know of its job, the claim as its fence."""
    return {
        b"QUEUE_JOB_ID": b"%d" % job.id,
        b"QUEUE_ATTEMPT": b"%d" % job.attempt,
        b"QUEUE_CLAIM": b"%d" % job.claim_seq,
        b"QUEUE_CONTEXT": _bytes(job.context),
    }


def _clean_environment(inherited: Sequence[str]) -> dict[bytes, bytes]:
    home = os.path.expanduser(b"~")  # noqa: PTH111 (Path raises for a user without a home, and knows no bytes)
    given = {os.fsencode(name): os.fsencode(os.environ[name]) for name in inherited if name in os.environ}
    return {b"PATH": CLEAN_PATH, b"HOME": home, b"LANG": b"C.UTF-8"} | given


def _working_directory() -> bytes:
    try:
        return os.getcwdb()  # noqa: PTH109 (pathlib knows no bytes)
    except FileNotFoundError:  # it was removed while the server stood in it
        return b"/"


def _encoded(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {_bytes(name): _bytes(value) for name, value in variables.items()}


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
