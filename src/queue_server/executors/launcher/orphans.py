"""Finding and killing what a run left behind.

The launcher is a subreaper (prctl(2)): a process whose parent died becomes its child, wherever it moved to. Such an
orphan belongs to the run that its session or the mark in its environment names. One that hides both may belong to
any run that was under way when it was first seen, and is killed when the last of these has ended.
"""

import ctypes
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36
_MARK_NAME = b"QUEUE_RUN"
"""Not QUEUE_SERVER_…: those are settings, and a job may call queue-server."""


class Orphans:
    """The launcher's children that it did not start itself."""

    def __init__(self) -> None:
        self._launcher = os.getpid()
        self._owners: dict[int, set[int]] = {}

    def forget(self, pid: int) -> None:
        """The process ended and its pid may come back as another's."""
        self._owners.pop(pid, None)

    def kill_abandoned(self, runs: Mapping[int, int]) -> bool:
        """Kill the orphans whose run has ended; say whether there were any.

        `runs` are those under way, by the pid of their leader.
        """
        found = False
        for pid in children_of(self._launcher):
            if pid not in runs and self._is_abandoned(pid, runs):
                found = True
                kill(pid)
        return found

    def _is_abandoned(self, pid: int, runs: Mapping[int, int]) -> bool:
        owners = self._owners.get(pid)
        if owners is None:
            owners = self._owners[pid] = self._possible_owners(pid, runs)
        owners.intersection_update(runs.values())
        return not owners

    def _possible_owners(self, pid: int, runs: Mapping[int, int]) -> set[int]:
        with suppress(OSError):
            if run := runs.get(os.getsid(pid)):
                return {run}
        run = marked_run(pid, self._launcher)
        return set(runs.values()) if run is None else {run}


def become_subreaper() -> None:
    """Become the parent of all descendants whose own parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def mark(launcher: int, run: int) -> dict[bytes, bytes]:
    """The variable by which a run's processes can be recognised."""
    return {_MARK_NAME: b"%d.%d" % (launcher, run)}


def marked_run(pid: int, launcher: int) -> int | None:
    """The run that a process's environment names, if that launcher started it and the environment can be read."""
    prefix = b"\0%b=%d." % (_MARK_NAME, launcher)
    _, found, rest = (b"\0" + _read(f"/proc/{pid}/environ")).rpartition(prefix)
    number = rest.partition(b"\0")[0]
    return int(number) if found and number.isdigit() else None


def kill_all_of(launcher: int) -> None:
    """Kill every process that a launcher which died has left; called by the server in its place."""
    for _ in range(_ROUNDS):
        marked = [pid for pid in _pids() if marked_run(pid, launcher) is not None]
        if not marked:
            return
        for pid in marked:
            _kill_marked(pid, launcher)


_ROUNDS = 50
"""Processes that fork may need several; ones of another user can't be killed at all."""


def children_of(parent: int) -> list[int]:
    """The children of a process, dead ones included."""
    return [pid for pid in _pids() if _parent_of(pid) == parent]


def kill(pid: int) -> None:
    """Kill a process of which it is known that its pid can't have come to mean another."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def kill_group(leader: int, number: int = signal.SIGKILL) -> None:
    """Signal a process group whose leader has not been reaped, so that its id can't have come to mean another."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _kill_marked(pid: int, launcher: int) -> None:
    """Kill through a pidfd: nobody keeps the pid of a process that is not our child from coming back."""
    with suppress(ProcessLookupError, PermissionError):
        process = os.pidfd_open(pid)
        try:
            if marked_run(pid, launcher) is not None:
                signal.pidfd_send_signal(process, signal.SIGKILL)
        finally:
            os.close(process)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 (names only, as fast as can be)


def _parent_of(pid: int) -> int | None:
    """From /proc/PID/stat: the fields after the name, which is in brackets and may hold anything, are state and parent."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split(None, 2)
    return int(fields[1]) if len(fields) > 1 else None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (pathlib doubles the launcher's start)
            return file.read()
    except OSError:
        return b""
