"""What the figures depend on: the machine, the versions and the commit."""

import os
import platform
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

from tests.performance.children import ROOT
from tests.performance.server import executable

PACKAGES = ("uvicorn", "httptools", "uvloop", "msgspec", "apsw", "pyreqwest", "starlette")
SYNCS = 200
GENERATORS = {"wrk": "wrk", "own": "our own, whose CPU lowers the bare limits: ratios look better than with wrk"}


def machine_facts(folder: Path, generator: str, server_command: str) -> dict[str, str]:
    """Facts in words, by name; `folder` is where the databases are."""
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "cpu": f"{processor()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} before",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "disk": f"{file_system(folder)}, fdatasync {sync_ms(folder):.2f} ms (median of {SYNCS})",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "generator": GENERATORS[generator],
        "server": server_command or Path(executable()).name,
        "commit": commit(),
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def file_system(folder: Path) -> str:
    """The type of the file system that holds the folder."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(mount, kind) for mount, kind in mounts if folder.is_relative_to(mount)]
    return max(holding, key=lambda each: len(each[0]))[1] + (" (in memory!)" if in_memory(holding) else "")


def in_memory(holding: list[tuple[str, str]]) -> bool:
    return max(holding, key=lambda each: len(each[0]))[1] in {"tmpfs", "ramfs"}


def sync_ms(folder: Path) -> float:
    """How long the disk takes to promise 4 KiB."""
    times: list[float] = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            begin = time.monotonic()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - begin)
    return 1000 * median(times)


def commit() -> str:
    """The commit of this working tree, and whether files differ from it."""
    git = shutil.which("git")
    if not git:
        return "unknown"
    command = [git, "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or "unknown"
