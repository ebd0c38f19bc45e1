"""Runs commands on this server: each in its own session, with a clean environment, and gone when its run is over."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import closing

from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import CannotStart
from queue_server.domain.expect import EXIT_DEFAULT, EXIT_RANGE, expected_codes
from queue_server.domain.job import Job
from queue_server.domain.outcome import FAILED, SUCCEEDED, TIMED_OUT, Outcome, Output
from queue_server.domain.placeholders import fill_exec, values_for
from queue_server.executors.launcher.client import End, Launcher, Lost, Program, Run
from queue_server.executors.launcher.messages import Ended, Refused
from queue_server.executors.launcher.pipes import READ_SIZE, Streams

CLEAN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INHERITED = ("HOME", "USER", "LOGNAME", "SHELL", "TZ")
"""What a command sees of the server's own environment; settings, tokens and passwords stay out."""

CANCEL_PATIENCE_S = 1.0
"""How long a cancelled command may take to end by itself."""

KILL_PATIENCE_S = 5.0
"""How long the kernel may take to end a killed command. One that hangs in the kernel must not hold its slot."""

ERROR_LIMIT = 200
"""Characters of a command's own words in an outcome's error."""

_LAST_PART = 16 * 1024
"""Bytes of an output in which its last line is looked for."""


class ExecExecutor:
    """Runs exec commands through a launcher process, at most for their timeout.

    `inherit` names more variables of the server's environment that commands may see. The working directory is the
    server's own unless the command names one: the first Queue Server started commands as its own children, so its
    users' relative paths mean the directory that it was started in.
    """

    def __init__(
        self,
        *,
        output_limit: int,
        default_timeout: float,
        kill_after: float = 5.0,
        inherit: Sequence[str] = (),
    ) -> None:
        self._output_limit = output_limit
        self._default_timeout = default_timeout
        self._kill_after = kill_after
        self._inherit = (*INHERITED, *inherit)
        self._environment: dict[str, str] = {}
        self._directory = "/"
        self._scratch = memoryview(bytearray(READ_SIZE))
        self._starting = asyncio.Lock()
        self._launcher: Launcher | None = None
        self._ending: set[Run] = set()
        self._is_impatient = False

    async def start(self) -> None:
        """Start the launcher process."""
        self._environment = _clean_environment(self._inherit)
        self._directory = _working_directory()
        await self._living_launcher()

    async def run(self, job: Job) -> Outcome:
        """Run the command to its end; see the contract. Its own words come back as they are, bytes untouched."""
        command = job.plan.command
        if not isinstance(command, ExecCommand):
            return Outcome(FAILED, error="this is not a command that can be run here")
        command = fill_exec(command, values_for(job))
        try:
            launcher = await self._living_launcher()
            streams = Streams(_bytes(command.stdin or ""), self._output_limit, self._scratch)
        except (CannotStart, OSError) as error:
            return Outcome(FAILED, error=f"the command could not be started: {error}")
        with closing(streams):
            run = launcher.run(self._program(job, command), streams.theirs)
            overtime = await self._see_through(run, command.timeout or self._default_timeout)
            return _outcome(command, run.end, streams.finish(), overtime)

    async def stop(self) -> None:
        """End the launcher process."""
        if self._launcher is not None:
            await self._launcher.close()

    def kill_at_once(self) -> None:
        """Give cancelled commands no time to end by themselves any more, those that are being ended now included."""
        self._is_impatient = True
        for run in self._ending:
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
        own = {
            "QUEUE_JOB_ID": str(job.id),
            "QUEUE_ATTEMPT": str(job.attempt),
            "QUEUE_CLAIM": str(job.claim_seq),
            "QUEUE_CONTEXT": job.context,
        }
        environment = self._environment | own | (command.env or {})
        return Program(
            argv=[_bytes(text) for text in argv],
            environment={_bytes(name): _bytes(value) for name, value in environment.items()},
            directory=_bytes(command.cwd or self._directory),
        )

    async def _see_through(self, run: Run, timeout_s: float) -> str | None:
        """Wait for the end and, when the time is over, bring it about; say how, if so."""
        try:
            if await run.ends_within(timeout_s):
                return None
            signals = await _end(run, self._kill_after)
        except asyncio.CancelledError:
            await self._end_cancelled(run)
            raise
        return f"timed out after {timeout_s:g} s; the process group was sent {signals}"

    async def _end_cancelled(self, run: Run) -> None:
        self._ending.add(run)
        try:
            await _end(run, 0 if self._is_impatient else CANCEL_PATIENCE_S)
        except asyncio.CancelledError:  # cancelled again: no more patience
            run.signal(signal.SIGKILL)
            await run.ends_within(KILL_PATIENCE_S)
        finally:
            self._ending.discard(run)


async def _end(run: Run, patience_s: float) -> str:
    """Ask the process group to end, then kill it; name the signals it took."""
    run.signal(signal.SIGTERM)
    if await run.ends_within(patience_s):
        return "SIGTERM"
    run.signal(signal.SIGKILL)
    has_ended = await run.ends_within(KILL_PATIENCE_S)
    return f"SIGTERM and, {patience_s:g} s later, SIGKILL" + (
        "" if has_ended else ", which did not end it either"
    )


def _outcome(command: ExecCommand, end: End | None, output: Output, overtime: str | None) -> Outcome:
    match end:
        case Refused(_, reason) | Lost(reason):
            return Outcome(FAILED, error=reason, output=output)
        case None:
            return Outcome(TIMED_OUT, error=overtime, output=output)
        case Ended(_, status):
            return _outcome_of_ended(command, status, output, overtime)


def _outcome_of_ended(command: ExecCommand, status: int, output: Output, overtime: str | None) -> Outcome:
    name = _signal_name(-status) if status < 0 else None
    code = 128 - status if status < 0 else status
    if overtime:
        return Outcome(TIMED_OUT, exit_code=code, signal=name, error=overtime, output=output)
    if code in expected_codes(EXIT_DEFAULT if command.expect is None else command.expect, EXIT_RANGE):
        return Outcome(SUCCEEDED, exit_code=code, signal=name, output=output)
    error = f"killed by {name}" if name else _words_of_failure(code, output)
    return Outcome(FAILED, exit_code=code, signal=name, error=error, output=output)


def _words_of_failure(code: int, output: Output) -> str:
    words = _last_line(output.error_text) or _last_line(output.text)
    return f"exit code {code}: {words}" if words else f"exit code {code}"


def _last_line(text: bytes) -> str:
    """The last line that is not empty, fit to be shown: cut, and without control characters."""
    for line in reversed(text[-_LAST_PART:].decode(errors="replace").splitlines()):
        if words := "".join(sign if sign.isprintable() else " " for sign in line).strip():
            return words if len(words) <= ERROR_LIMIT else words[: ERROR_LIMIT - 1] + "…"
    return ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


def _clean_environment(inherited: Sequence[str]) -> dict[str, str]:
    given = {name: os.environ[name] for name in inherited if name in os.environ}
    return {"PATH": CLEAN_PATH, "HOME": os.path.expanduser("~"), "LANG": "C.UTF-8"} | given


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed while the server stood in it
        return "/"


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
