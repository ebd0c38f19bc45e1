"""From the `db` setting to a store."""

import asyncio
from importlib.util import find_spec
from pathlib import Path

from queue_server.clock import ServerClock
from queue_server.config.settings import Settings
from queue_server.domain.errors import InvalidSetting
from queue_server.store.contract import Store

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")
MYSQL = ("mysql://", "mariadb://")
FORMS = "sqlite:///FILE, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"


async def open_store(settings: Settings, clock: ServerClock) -> Store:
    """The store that `settings.db` names, migrated and ready, or StoreRefused. Its time is `clock`'s from now on."""
    # A driver is loaded only when it is used.
    if settings.db.startswith(POSTGRES):
        require("asyncpg", "postgres", settings.db)
        from queue_server.store.postgres.store import PostgresStore  # noqa: PLC0415

        return await PostgresStore.open(settings.db, clock)
    if settings.db.startswith(MYSQL):
        require("asyncmy", "mysql", settings.db)
        from queue_server.store.mysql.store import MysqlStore  # noqa: PLC0415

        return await MysqlStore.open(settings.db, clock)
    from queue_server.store.sqlite.store import SqliteStore  # noqa: PLC0415

    return SqliteStore(sqlite_path(settings.db), clock, asyncio.get_running_loop())


def migrate(settings: Settings) -> list[str]:
    """Bring the schema up to date without starting a server; the names of the migrations that were applied."""
    if settings.db.startswith(POSTGRES):
        require("asyncpg", "postgres", settings.db)
        from queue_server.store.postgres.migrating import migrate_database  # noqa: PLC0415

        return asyncio.run(migrate_database(settings.db))
    if settings.db.startswith(MYSQL):
        require("asyncmy", "mysql", settings.db)
        from queue_server.store.mysql.migrating import migrate_database  # noqa: PLC0415

        return asyncio.run(migrate_database(settings.db))
    from queue_server.store.sqlite.connection import migrate_file  # noqa: PLC0415

    return migrate_file(sqlite_path(settings.db))


def key_file(settings: Settings) -> Path:
    """Where the key that seals secrets is kept if no setting names one: beside the database's file, or else here."""
    if not is_file(settings.db):
        return Path("queue-server.key").absolute()
    path = sqlite_path(settings.db)
    return path.with_name(f"{path.name}.key")


def store_files(settings: Settings) -> list[Path]:
    """The files that hold jobs and secrets, as far as they are on this machine."""
    if not is_file(settings.db):
        return [key_file(settings)]
    path = sqlite_path(settings.db)
    return [key_file(settings), *(path.with_name(path.name + part) for part in ("", "-wal", "-shm"))]


def is_file(db: str) -> bool:
    """Whether the database is a file, which only one server can have open."""
    return not db.startswith((*POSTGRES, *MYSQL))


def sqlite_path(db: str) -> Path:
    """The file of `sqlite:///FILE`: three slashes and a relative path, four and an absolute one."""
    if not db.startswith(SQLITE) or not db.removeprefix(SQLITE):
        raise InvalidSetting(f"db: {db.partition('://')[0]}://… is not supported; use {FORMS}")
    return Path(db.removeprefix(SQLITE)).absolute()


def require(module: str, extra: str, db: str) -> None:
    """InvalidSetting if a driver is not installed."""
    if find_spec(module) is None:
        raise InvalidSetting(
            f"db: {db.partition('://')[0]}://… needs the package {module}: pip install 'queue-server[{extra}]'"
        )
