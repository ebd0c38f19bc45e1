"""Seeing at the start whether the sandbox works here: many containers and some kernels forbid what it needs."""

from collections.abc import Callable

from queue_server.domain.errors import CannotStart
from queue_server.executors.guards import Guard
from queue_server.executors.launcher.client import Launcher, Lost
from queue_server.executors.launcher.messages import Ended, Refused
from queue_server.executors.launcher.pipes import READ_SIZE, Streams
from queue_server.executors.programs import Programs
from queue_server.executors.sandbox import PROGRAM, find_sandbox

WITHIN_S = 10.0
ANYTHING = [b"/bin/sh", b"-c", b":"]
OUTPUT_LIMIT = 4096


async def prepare_sandbox(launcher: Launcher, programs: Programs, warn: Callable[[str], None]) -> None:
    """Have the programs use it if it works; else warn, or CannotStart where it is required."""
    wanted = {guard.user and guard.user.name: guard for guard in programs.guards() if guard.sandbox != "none"}
    if not wanted:
        return
    programs.sandbox = find_sandbox()
    for guard in wanted.values():
        if why := await _why_not(launcher, programs, guard):
            programs.sandbox = None
            _complain(programs, why, warn)
            return


def _complain(programs: Programs, why: str, warn: Callable[[str], None]) -> None:
    if any(guard.sandbox == "required" for guard in programs.guards()):
        raise CannotStart(f"commands must run in a sandbox (exec_sandbox is required), which does not work here: {why}")
    warn(f"commands run without their sandbox (exec_sandbox), which does not work here: {why}")


def unheard(_warning: str) -> None:
    """For who needs no warning."""


async def _why_not(launcher: Launcher, programs: Programs, guard: Guard) -> str | None:
    if programs.sandbox is None:
        return f"{PROGRAM} is not installed (package bubblewrap)"
    streams = Streams(b"", OUTPUT_LIMIT, memoryview(bytearray(READ_SIZE)))
    run = launcher.run(programs.probe(guard, ANYTHING), streams.theirs)
    try:
        await run.ends_within(WITHIN_S)
        match run.end:
            case Ended(_, 0):
                return None
            case Refused(_, why) | Lost(why):
                return why
            case Ended() | None:
                return streams.finish().error_text.decode(errors="replace").strip() or f"{PROGRAM} says nothing"
    finally:
        streams.close()
