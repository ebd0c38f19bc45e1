"""What /proc says about a process and its descendants: CPU seconds and memory."""

import os
from pathlib import Path

import msgspec

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Memory(msgspec.Struct, frozen=True):
    """The memory of one process, now and at most."""

    pid: int
    name: str
    resident_mb: float
    peak_mb: float


def tree(pid: int) -> list[int]:
    """The process and all its living descendants; empty when it is gone."""
    found = [pid] if (PROC / str(pid)).exists() else []
    for parent in found:
        found.extend(children(parent))
    return found


def children(pid: int) -> list[int]:
    lists = (PROC / str(pid) / "task").glob("*/children")
    return [int(child) for each in lists for child in read(each).split()]


def cpu_s(pid: int) -> float:
    """User and system seconds used so far by the process, its descendants and those it has reaped."""
    return sum(ticks(each) for each in tree(pid)) / TICKS_PER_S


def ticks(pid: int) -> int:
    fields = read(PROC / str(pid) / "stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime


def memory(pid: int) -> list[Memory]:
    """The memory of the process, first, and of each of its living descendants."""
    return [each for each in map(memory_of, tree(pid)) if each]


def memory_of(pid: int) -> Memory | None:
    lines = (line.partition(":") for line in read(PROC / str(pid) / "status").splitlines())
    facts = {name: value.strip() for name, _, value in lines}
    if "VmRSS" not in facts:
        return None  # ended, or not yet reaped
    return Memory(pid, facts["Name"], megabytes(facts["VmRSS"]), megabytes(facts["VmHWM"]))


def megabytes(kibibytes: str) -> float:
    return round(int(kibibytes.split(maxsplit=1)[0]) * 1024 / 1_000_000, 1)


def read(path: Path) -> str:
    """A file of /proc; empty when its process has ended meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
