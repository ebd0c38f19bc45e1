"""Opening connections, and turning the driver's errors into ours."""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

import contextlib
import os
from pathlib import Path

import apsw

from queue_server.domain.errors import StoreRefused
from queue_server.store.migrations import load_migrations, pending
from queue_server.store.sqlite.lock import FileLock, refuse_network_file_system

MIGRATIONS = "queue_server.store.sqlite.migrations"
APPLICATION_ID = 0x51535256  # "QSRV": tells our files from other people's databases
FIRST_SAFE_VERSION = (3, 51, 3)
"""The WAL-reset bug of SQLite 3.7.0 to 3.51.2 can corrupt a file that two connections use (sqlite.org/wal.html)."""

FATAL = (apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.NoMemError)
"""After these nothing the file says can be trusted: a failed fsync must never be tried again."""

PASSING = (apsw.FullError, apsw.ReadOnlyError, apsw.BusyError, apsw.LockedError, apsw.CantOpenError)
"""These end when the disk has room again or another program lets go: the transaction is undone, the next may do."""

CACHE_KIB = 32 * 1024
JOURNAL_BYTES = 64 * 1024 * 1024


def open_writer(path: Path) -> apsw.Connection:
    """The writing connection, with durable commits (WAL, synchronous=FULL) and the newest schema."""
    try:
        _create_private(path)
        database = _connect(path)
        migrate(database, path)
        database.execute("begin immediate; update sequence set next = next; commit")  # fails here if it can't write
    except apsw.Error as error:
        raise StoreRefused(explain(error, path)) from None
    return database


def migrate_file(path: Path) -> list[str]:
    """Migrate a file that no server has open; the names of the steps that were taken."""
    refuse_network_file_system(path)
    lock = FileLock(path)
    try:
        _create_private(path)
        database = _connect(path)
        taken = migrate(database, path)
        database.close()
    except apsw.Error as error:
        raise StoreRefused(explain(error, path)) from None
    finally:
        lock.release()
    return taken


def _create_private(path: Path) -> None:
    """A new file is its owner's alone: jobs and outputs are nobody else's. SQLite gives its log the same mode."""
    with contextlib.suppress(OSError):  # SQLite says it better
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def open_reader(path: Path) -> apsw.Connection:
    """A reading connection. It never writes and never checkpoints: only the writer does."""
    database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    database.set_busy_timeout(5000)
    database.wal_autocheckpoint(0)
    database.pragma("query_only", value=True)
    database.pragma("cache_size", -4 * 1024)
    return database


def migrate(database: apsw.Connection, path: Path) -> list[str]:
    """Bring the schema up to date, each step in its own transaction; the names of the steps that were taken."""
    migrations = load_migrations(MIGRATIONS)
    version = int(database.pragma("user_version"))
    taken: list[str] = []
    for migration in pending(migrations, version, str(path)):
        database.execute("begin immediate")
        try:
            database.execute(migration.sql)
            database.execute(f"pragma user_version = {migration.number}")
            database.execute(f"pragma application_id = {APPLICATION_ID}")
        except BaseException:
            database.execute("rollback")
            raise
        database.execute("commit")
        taken.append(f"{migration.number:04} {migration.name}")
    return taken


def _connect(path: Path) -> apsw.Connection:
    if tuple(map(int, apsw.sqlite_lib_version().split("."))) < FIRST_SAFE_VERSION:
        raise StoreRefused(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt data in WAL mode; install apsw 3.51.3 or newer"
        )
    database = apsw.Connection(str(path))
    database.set_busy_timeout(5000)
    _check_owner(database, path)
    database.pragma("journal_mode", "wal")
    database.pragma("synchronous", "full")
    database.pragma("cache_size", -CACHE_KIB)
    database.pragma("journal_size_limit", JOURNAL_BYTES)
    database.wal_autocheckpoint(0)  # see checkpoints.py
    return database


def _check_owner(database: apsw.Connection, path: Path) -> None:
    """Refuse a database that is not ours, or of a newer version, before anything is changed in it."""
    version, owner = int(database.pragma("user_version")), int(database.pragma("application_id"))
    is_empty = not list(database.execute("select 1 from sqlite_schema limit 1"))
    if not is_empty and owner != APPLICATION_ID:
        raise StoreRefused(f"{path} is a database of another program; give Queue Server its own file with --db")
    pending(load_migrations(MIGRATIONS), version, str(path))


_EXPLANATIONS: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.ReadOnlyError, "{path} is read-only; the server needs to write to the file and its folder"),
    (apsw.CantOpenError, "can't open {path}: does its folder exist, and may the server write there?"),
    (apsw.FullError, "the disk that holds {path} is full"),
    (apsw.NotADBError, "{path} is not an SQLite database; give Queue Server its own file with --db"),
    (apsw.CorruptError, "{path} is damaged ({error}); restore a backup, or see sqlite.org/recovery.html"),
    (apsw.BusyError, "{path} is locked by another program"),
    (apsw.LockedError, "{path} is locked by another program"),
    (apsw.IOError, "the disk that holds {path} failed ({error}); nothing more is accepted"),
)


def explain(error: apsw.Error, path: Path) -> str:
    """One line for a person: what is wrong with the file and what to do."""
    for kind, text in _EXPLANATIONS:
        if isinstance(error, kind):
            return text.format(path=path, error=error)
    return f"SQLite can't use {path}: {error}"
