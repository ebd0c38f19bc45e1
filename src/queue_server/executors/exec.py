"""Runs commands on this server: each in its own session, with a clean environment, gone when it is over."""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import NamedTuple, cast

from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import CannotStart, SecretUnavailable
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import Job
from queue_server.domain.outcome import FAILED, SNOOZED, TIMED_OUT, Outcome
from queue_server.domain.placeholders import fill_exec, values_for
from queue_server.executors.contract import RunCancelled
from queue_server.executors.exec_outcome import outcome_of
from queue_server.executors.launcher.client import Launcher, Program, Run
from queue_server.executors.launcher.pipes import READ_SIZE, Streams
from queue_server.executors.live import LiveOutput, LiveOutputs
from queue_server.executors.places import Places
from queue_server.executors.probing import prepare_sandbox, unheard
from queue_server.executors.programs import ANY_COMMAND, CommandRules, Programs, encoded
from queue_server.executors.strayed import has_paths, strayed
from queue_server.vault.revealing import Revealer

CANCEL_PATIENCE_S = 0.5
"""How long a cancelled command may take to end by itself: it has to be gone within a second of the wish."""

KILL_PATIENCE_S = 5.0
"""How long the kernel may take to end a killed command. One that hangs there must not keep its slot."""

UNLIMITED = 1_000_000
"""Places where nobody limits them."""


class ExecExecutor:
    """Runs exec commands through a launcher process, at most for their timeout.

    `rules` say which commands run, and how; `warn` is told what is missing here for that. A command that names no
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
        rules: CommandRules = ANY_COMMAND,
        warn: Callable[[str], None] = unheard,
    ) -> None:
        self._output_limit = output_limit
        self._default_timeout = default_timeout
        self._kill_after = kill_after
        self._revealer = revealer
        self._places = Places(places or UNLIMITED, time.monotonic)
        self._programs = Programs(rules)
        self._warn = warn
        self._scratch = memoryview(bytearray(READ_SIZE))
        self._starting = asyncio.Lock()
        self._launcher: Launcher | None = None
        self._is_impatient = False
        self._being_cancelled: set[Run] = set()
        self._live = LiveOutputs()

    async def start(self) -> None:
        """Start the launcher process; CannotStart when that, or a sandbox that is required, is impossible."""
        try:
            await prepare_sandbox(await self._living_launcher(), self._programs, self._warn)
        except BaseException:
            await self.stop()
            raise

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
        limit = _limit(job, self._timeout(command), time_left, time.monotonic() - asked_at)
        try:
            return await self._run_revealed(job, fill_exec(command, values_for(job)), limit)
        finally:
            self._places.leave(ticket)

    def live(self, job_id: int, claim_seq: int | None = None) -> LiveOutput | None:
        """See Executor.live."""
        return self._live.find(job_id, claim_seq)

    def _timeout(self, command: ExecCommand) -> float:
        named = self._programs.named(command)
        return command.timeout or (named and named.timeout) or self._default_timeout

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
            program = await self._program(job, command)
            if isinstance(program, str):
                return Outcome(FAILED, error=program)
            launcher = await self._living_launcher()
            streams = Streams(encoded(cast("str", command.stdin or "")), self._output_limit, self._scratch)
        except (CannotStart, OSError) as error:
            return Outcome(FAILED, error=f"the command could not be started: {error}")
        self._live.add(job.id, job.claim_seq, streams)
        try:
            run = launcher.run(program, streams.theirs)
            overtime = await self._see_through(run, limit)
            return outcome_of(command, run.end, streams.finish(), overtime)
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
                self._launcher = await Launcher.start(self._programs.files)
            return self._launcher

    async def _program(self, job: Job, command: ExecCommand) -> Program | str:
        """The program, or why there is none."""
        program = self._programs.make(job, command)
        named = self._programs.named(command)
        if named is None or isinstance(program, str) or not has_paths(named):
            return program
        return await asyncio.to_thread(strayed, named, command) or program

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
