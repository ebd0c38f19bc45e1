"""Looking at processes in /proc (proc(5)) and killing them. What can't be read or killed is passed over."""

import os
import signal
from contextlib import suppress


def process_ids() -> list[int]:
    """Every process that can be seen."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 (thousands of names, and nothing but the names)
    except OSError:
        return []
    return [int(name) for name in names if name.isdigit()]


def children_of(parent: int) -> list[int]:
    """The children of a process, those included that ended and were not reaped."""
    return [pid for pid in process_ids() if _parent_of(pid) == parent]


def environment_of(pid: int) -> bytes:
    """The environment that a process was started with: NAME=value, each closed by a NUL."""
    return _read(f"/proc/{pid}/environ")


def kill(pid: int) -> None:
    """Kill a child. Nobody else gets its pid before it is reaped."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


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


def _parent_of(pid: int) -> int | None:
    """From /proc/PID/stat: the pid, the name in brackets, which may hold anything, the state, the parent."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split(None, 2)
    return int(fields[1]) if len(fields) > 1 else None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (pathlib would double the launcher's start)
            return file.read()
    except OSError:
        return b""
