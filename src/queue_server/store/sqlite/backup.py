"""A copy of a database file while a server has it open.

VACUUM INTO reads one moment of the database and takes no lock that the writer waits for. While it runs the writer can't
shorten its log, which grows until the copy is done.
"""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

import os
import secrets
from contextlib import closing
from pathlib import Path

import apsw

from queue_server.domain.errors import StoreRefused
from queue_server.store.sqlite.connection import APPLICATION_ID, explain


def back_up(path: Path, target: Path, *, replace: bool = False) -> int:
    """Copy the database at `path` to `target`, which appears whole, durable and checked, or not at all; its bytes.

    Only its owner may read it. StoreRefused if something is there already, unless it is to be replaced.
    """
    if not path.exists():
        raise StoreRefused(f"there is no database {path}")
    if target.exists() and (not replace or target.samefile(path)):
        raise StoreRefused(f"{target} is there already; name another file, or replace it with --force")
    part = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _copy(path, part)
        _check(part)
        _publish(part, target, replace=replace)
        return target.stat().st_size
    except OSError as error:
        raise StoreRefused(f"can't write {target}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _copy(path: Path, part: Path) -> None:
    try:
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as database:
            database.set_busy_timeout(5000)
            database.wal_autocheckpoint(0)
            if int(database.pragma("application_id")) != APPLICATION_ID:
                raise StoreRefused(f"{path} is not a database of Queue Server")
            database.execute("vacuum into ?", (str(part),))
    except apsw.Error as error:
        raise StoreRefused(f"the copy failed: {explain(error, path)}") from None


def _check(part: Path) -> None:
    with closing(apsw.Connection(str(part), flags=apsw.SQLITE_OPEN_READONLY)) as database:
        answer = str(database.pragma("integrity_check"))
    if answer != "ok":
        raise StoreRefused(f"the copy is damaged, and so may the database be: {answer}")


def _publish(part: Path, target: Path, *, replace: bool) -> None:
    """Make the copy durable, then give it its name, and make that durable."""
    _sync(part, os.O_RDWR)
    if replace:
        part.replace(target)
    else:
        os.link(part, target)
    _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
