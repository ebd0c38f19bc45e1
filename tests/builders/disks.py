"""A disk for SQLite that fails when it is told to, and remembers who did what to which file."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import apsw
import msgspec

REAL = "unix"


class Access(msgspec.Struct, frozen=True):
    """One write or sync: `file` is the ending of its name, empty for the database itself."""

    what: str
    file: str
    thread: str


class FaultyDisk(apsw.VFS):
    """While it is mounted every connection that is opened uses it."""

    def __init__(self) -> None:
        self.accesses: list[Access] = []
        self.sync_error: Exception | None = None
        self.failing_file: str | None = None
        """The ending of the only file whose syncs fail; None: all do."""
        super().__init__("faulty-disk", REAL, makedefault=True)

    @classmethod
    @contextmanager
    def mounted(cls) -> Iterator[Self]:
        """A disk for a while."""
        disk = cls()
        try:
            yield disk
        finally:
            disk.sync_error = None
            disk.unregister()

    def xOpen(self, name: Any, flags: list[int]) -> "FaultyFile":  # noqa: N802 (SQLite's name)
        """See apsw.VFS."""
        return FaultyFile(self, name, flags)

    def syncs(self, file: str) -> int:
        """How often a file was synced."""
        return sum(access.what == "sync" and access.file == file for access in self.accesses)

    def note(self, what: str, file: str) -> None:
        """Remember an access."""
        self.accesses.append(Access(what, file, threading.current_thread().name))


class FaultyFile(apsw.VFSFile):
    """A file on the disk."""

    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        text = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self._ending = Path(text).name.rpartition(".db")[2]
        super().__init__(REAL, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """See apsw.VFSFile."""
        self._disk.note("write", self._ending)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """See apsw.VFSFile."""
        self._disk.note("sync", self._ending)
        if self._disk.sync_error is not None and self._disk.failing_file in (None, self._ending):
            raise self._disk.sync_error
        super().xSync(flags)
