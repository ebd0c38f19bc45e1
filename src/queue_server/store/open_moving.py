"""From the `db` setting to a database whose rows are moved."""

from datetime import tzinfo

from queue_server.domain.errors import StoreRefused
from queue_server.store.first_table import FirstTable
from queue_server.store.moving import Export, Import
from queue_server.store.open import is_file, require, sqlite_path


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


async def open_first_table(url: str, table: str, *, zone: tzinfo | None, output_limit: int) -> FirstTable:
    """The table of the first Queue Server; StoreRefused if there is none. Times without a zone are of `zone`."""
    require("asyncmy", "mysql", url)
    from queue_server.store.mysql.first_table import MysqlFirstTable  # noqa: PLC0415

    return await MysqlFirstTable.open(url, table, zone=zone, output_limit=output_limit)
