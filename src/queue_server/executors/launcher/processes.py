"""Looking at processes in /proc (proc(5)) and killing them. What can't be read or killed is passed over."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple


class Process(NamedTuple):
    """A process as it was seen. No other has this pid and this start."""

    pid: int
    parent: int
    started: int
    is_dead: bool


def process_ids() -> list[int]:
    """Every process that can be seen."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 (thousands of names, and nothing but the names)
    except OSError:
        return []
    return [int(name) for name in names if name.isdigit()]


def processes() -> Iterator[Process]:
    """Every process, read one by one, those first that are likely to be the newest."""
    for pid in sorted(process_ids(), reverse=True):
        if (seen := look(pid)) is not None:
            yield seen


def look(pid: int) -> Process | None:
    """From /proc/PID/stat: the pid, the name in brackets, which may hold anything, and what follows it."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split(None, 20)
    if len(fields) < 20:
        return None
    return Process(pid, int(fields[1]), int(fields[19]), is_dead=fields[0] in (b"Z", b"X"))


def children_of(parent: int) -> list[int]:
    """The children of a process, those included that ended and were not reaped."""
    return [seen.pid for seen in processes() if seen.parent == parent]


def descendants(tops: set[int], seen: list[Process]) -> list[Process]:
    """All that come from these, themselves not included."""
    children: dict[int, list[Process]] = {}
    for process in seen:
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    waiting = [*tops]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [process.pid for process in below]
    return found


def environment_of(pid: int) -> bytes:
    """The environment that a process was started with: NAME=value, each closed by a NUL."""
    return _read(f"/proc/{pid}/environ")


def limits_of(pid: int) -> bytes:
    """The limits of a process as a table; nothing if it is gone."""
    return _read(f"/proc/{pid}/limits")


def signal_seen(process: Process, number: int) -> None:
    """Signal a process that may not be our child: through a pidfd, and only if it is still the one that was seen."""
    with suppress(OSError):
        descriptor = os.pidfd_open(process.pid)
        try:
            now = look(process.pid)
            if now is not None and now.started == process.started:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def signal_group(leader: int, number: int) -> None:
    """Signal the process group of a child. No other group gets its id before the child is reaped."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def signal_name(number: int) -> str:
    """SIGTERM and the like; most real-time signals have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (pathlib would double the launcher's start)
            return file.read()
    except OSError:
        return b""
