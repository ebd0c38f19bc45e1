"""From the `db` setting to a store."""

import asyncio
from pathlib import Path

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.domain.errors import InvalidSetting
from queue_server.store.contract import Store

SQLITE = "sqlite:///"


def open_store(settings: Settings, clock: Clock) -> Store:
    """The store that `settings.db` names, migrated and ready, or StoreRefused. Call it in the event loop."""
    from queue_server.store.sqlite.store import SqliteStore  # noqa: PLC0415 (a driver is loaded only when it is used)

    return SqliteStore(sqlite_path(settings.db), clock, asyncio.get_running_loop())


def migrate(settings: Settings) -> list[str]:
    """Bring the schema up to date without starting a server; the names of the migrations that were applied."""
    from queue_server.store.sqlite.connection import migrate_file  # noqa: PLC0415

    return migrate_file(sqlite_path(settings.db))


def key_file(settings: Settings) -> Path:
    """Where the key that seals secrets is kept if no setting names one: beside the database."""
    path = sqlite_path(settings.db)
    return path.with_name(f"{path.name}.key")


def store_files(settings: Settings) -> list[Path]:
    """The files that hold jobs and secrets, as far as they are on this machine."""
    path = sqlite_path(settings.db)
    return [key_file(settings), *(path.with_name(path.name + part) for part in ("", "-wal", "-shm"))]


def sqlite_path(db: str) -> Path:
    """The file of `sqlite:///FILE`: three slashes and a relative path, four and an absolute one."""
    if not db.startswith(SQLITE) or not db.removeprefix(SQLITE):
        raise InvalidSetting(
            f"db: {db.partition('://')[0]}://… is not supported; use sqlite:///FILE, such as sqlite:///queue-server.db"
        )
    return Path(db.removeprefix(SQLITE)).absolute()
