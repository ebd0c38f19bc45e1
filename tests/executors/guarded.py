"""Commands as another user, where we are root; folders that this user sees; and processes found by their words."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from queue_server.executors.guards import Wish
from queue_server.executors.programs import CommandRules

IS_ROOT = os.geteuid() == 0
STRANGER = "nobody" if IS_ROOT else ""
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable


def own_processes() -> int:
    """The threads of all processes of this user: what RLIMIT_NPROC counts."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if folder.stat().st_uid == os.geteuid():
                count += len(list((folder / "task").iterdir()))
    return count


ROOM = 150 if IS_ROOT else 150 + own_processes()
"""A limit of processes that leaves room for so many more."""

needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can start programs as another user")


def rules(**wish: object) -> CommandRules:
    """Any command, held like this."""
    return CommandRules(wish=Wish(**wish))


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody may use; pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="queue-server-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def processes_with(words: str) -> list[int]:
    """The living processes whose command line has these words."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and words.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
