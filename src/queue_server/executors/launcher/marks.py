"""The mark in their environment by which the processes of a run are known, wherever they moved to."""

import os
import select
import signal
from contextlib import ExitStack, suppress

from queue_server.executors.launcher.processes import environment_of, process_ids

NAME = b"QUEUE_RUN"
"""Not QUEUE_SERVER_…: those variables are settings, and a job may call queue-server."""

ROUNDS = 50
"""Processes that go on forking need several; one that can't be killed must not hold up the server."""


DEAD_WITHIN_MS = 1000
"""A killed process is gone in milliseconds, unless it hangs in the kernel."""


def mark(launcher: int, run: int) -> dict[bytes, bytes]:
    """The variable that marks the processes of a launcher's run."""
    return {NAME: b"%d.%d" % (launcher, run)}


def marked_run(pid: int, launcher: int) -> int | None:
    """The run of this launcher that a process is marked with, if it is and its environment can be read."""
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
