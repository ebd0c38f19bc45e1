"""The marks by which the processes of a run are known, wherever they moved to.

One is a variable of their environment. It is gone when a program clears that (`env -i`), or writes over it. The other
is a limit that means nothing to ordinary programs (RLIMIT_RTTIME, the CPU time of real-time threads): children inherit
it, no change of the environment, session or user loses it, and nobody but root can raise it again. Each run has a value
of its own, far above any that limits something: 146,000 years less a few microseconds.
"""

import os
import re
import resource
import select
import signal
from contextlib import ExitStack, suppress

from queue_server.executors.launcher.processes import environment_of, limits_of, process_ids

NAME = b"QUEUE_RUN"
"""Not QUEUE_SERVER_…: those variables are settings, and a job may call queue-server."""

HIGHEST = 2**62
RUNS = 2**32
"""Runs of a launcher that can be told apart; a pid has at most 22 bits (PID_MAX_LIMIT)."""

ROUNDS = 50
"""Processes that go on forking need several; one that can't be killed must not hold up the server."""

DEAD_WITHIN_MS = 1000
"""A killed process is gone in milliseconds, unless it hangs in the kernel."""

_LIMIT = re.compile(rb"^Max realtime timeout +\S+ +(\d+) ", re.MULTILINE)


def mark(launcher: int, run: int) -> dict[bytes, bytes]:
    """The variable that marks the processes of a launcher's run."""
    return {NAME: b"%d.%d" % (launcher, run)}


def limit_mark(launcher: int, run: int) -> int:
    """The limit that marks them. Later runs have lower ones, so that a launcher without rights can set them."""
    return HIGHEST - launcher * RUNS - run % RUNS


def set_limit_mark(launcher: int, run: int) -> None:
    """Mark this process and those that it starts from now on. Within a run of another server that may fail."""
    value = limit_mark(launcher, run)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_RTTIME, (value, value))


def marked_run(pid: int, launcher: int) -> int | None:
    """The run of this launcher that a process is marked with, if it is and can be read."""
    run = _run_of_limit(pid, launcher)
    return _run_of_variable(pid, launcher) if run is None else run


def _run_of_limit(pid: int, launcher: int) -> int | None:
    found = _LIMIT.search(limits_of(pid))
    if found is None:
        return None
    of_launcher, run = divmod(HIGHEST - int(found[1]), RUNS)
    return run if of_launcher == launcher else None


def _run_of_variable(pid: int, launcher: int) -> int | None:
    prefix = b"\0%b=%d." % (NAME, launcher)
    _, found, rest = (b"\0" + environment_of(pid)).rpartition(prefix)
    number = rest.partition(b"\0")[0]
    return int(number) if found and number.isdigit() else None


def kill_marked(launcher: int) -> None:
    """Kill every process that a launcher which died has left, and see it dead. The server does this in its place."""
    looks_in_vain = 0
    for _ in range(ROUNDS):
        marked = [pid for pid in process_ids() if marked_run(pid, launcher) is not None]
        with ExitStack() as processes:
            for killed in [_kill_if_marked(pid, launcher, processes) for pid in marked]:
                if killed is not None:
                    _wait_dead(killed)
        looks_in_vain = 0 if marked else looks_in_vain + 1
        if looks_in_vain == 2:  # a process that is just starting a program has no mark for a moment
            return


def _wait_dead(process: int) -> None:
    """Wait until a pidfd says that its process has ended."""
    ends = select.poll()
    ends.register(process, select.POLLIN)
    ends.poll(DEAD_WITHIN_MS)


def _kill_if_marked(pid: int, launcher: int, processes: ExitStack) -> int | None:
    """Kill through a pidfd, which is returned: the pid of a process that is not our child may come back as another."""
    with suppress(OSError):
        process = os.pidfd_open(pid)
        processes.callback(os.close, process)
        if marked_run(pid, launcher) is not None:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            return process
    return None
