"""One server per file: an advisory lock on `<file>.lock`, which the kernel drops when the process ends in any way."""

import fcntl
import os
from pathlib import Path

from queue_server.domain.errors import StoreInUse, StoreRefused

_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "lustre",
    }
)


class FileLock:
    """The lock of a database file, held from creation to `release`. StoreInUse where another server has it."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._descriptor = _open(self._path)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StoreInUse(
                f"{database} is in use by another Queue Server (process {holder or 'unknown'}); "
                "stop it, or give this one its own file with --db"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of the file. The lock file stays: removing it would race with a server that is starting."""
        os.close(self._descriptor)


def refuse_network_file_system(database: Path) -> None:
    """StoreRefused on a network file system, where SQLite's shared memory does not work (sqlite.org/wal.html)."""
    kind = file_system_of(database.parent, Path("/proc/self/mounts"))
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StoreRefused(
            f"{database} is on a network file system ({kind}), where SQLite can lose data; use a local disk"
        )


def file_system_of(folder: Path, mounts: Path) -> str:
    """The type of the file system that holds `folder`, by the longest mount point in `mounts`; empty if unknown.

    Of several at one mount point (autofs, and what it has mounted) the last is on top.
    """
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    points = [(fields[1].replace("\\040", " "), fields[2]) for line in lines if len(fields := line.split()) > 2]
    real = folder.resolve()
    parents = {str(path) for path in (real, *real.parents)}
    holding = [(len(point), place, kind) for place, (point, kind) in enumerate(points) if point in parents]
    return max(holding, default=(0, 0, ""))[2]


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreRefused(f"can't open {path}: {error.strerror}; the server needs to write there") from None
