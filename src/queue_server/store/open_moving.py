"""From the `db` setting to a database whose rows are moved."""

from queue_server.domain.errors import StoreRefused
from queue_server.store.moving import Export, Import
from queue_server.store.open import is_file, sqlite_path


async def open_export(db: str) -> Export:
    """The database to move rows out of; StoreRefused if a server has it, or it has another version's schema."""
    _require_file(db)
    from queue_server.store.sqlite.moving import SqliteExport  # noqa: PLC0415

    return SqliteExport(sqlite_path(db))


async def open_import(db: str) -> Import:
    """The database to move rows into, migrated; StoreRefused if a server has it."""
    _require_file(db)
    from queue_server.store.sqlite.moving import SqliteImport  # noqa: PLC0415

    return SqliteImport(sqlite_path(db))


def _require_file(db: str) -> None:
    if not is_file(db):
        raise StoreRefused(f"{db.partition('://')[0]}://…: this version moves SQLite files only")
