"""From the `db` setting to a database whose rows are moved."""

from datetime import tzinfo

from queue_server.store.first_table import FirstTable
from queue_server.store.moving import Export, Import
from queue_server.store.open import MYSQL, POSTGRES, require, sqlite_path


async def open_export(db: str) -> Export:
    """The database to move rows out of; StoreRefused if a server has it, or it has another version's schema."""
    # A driver is loaded only when it is used.
    if db.startswith((*POSTGRES, *MYSQL)):
        return await _open_server(db)
    from queue_server.store.sqlite.moving import SqliteExport  # noqa: PLC0415

    return SqliteExport(sqlite_path(db))


async def open_import(db: str) -> Import:
    """The database to move rows into, migrated; StoreRefused if a server has it."""
    if db.startswith(POSTGRES):
        require("asyncpg", "postgres", db)
        from queue_server.store.postgres.migrating import migrate_database as migrate_postgres  # noqa: PLC0415

        await migrate_postgres(db)
        return await _open_server(db)
    if db.startswith(MYSQL):
        require("asyncmy", "mysql", db)
        from queue_server.store.mysql.migrating import migrate_database as migrate_mysql  # noqa: PLC0415

        await migrate_mysql(db)
        return await _open_server(db)
    from queue_server.store.sqlite.moving import SqliteImport  # noqa: PLC0415

    return SqliteImport(sqlite_path(db))


async def open_first_table(url: str, table: str, *, zone: tzinfo | None, output_limit: int) -> FirstTable:
    """The table of the first Queue Server; StoreRefused if there is none. Times without a zone are of `zone`."""
    require("asyncmy", "mysql", url)
    from queue_server.store.mysql.first_table import MysqlFirstTable  # noqa: PLC0415

    return await MysqlFirstTable.open(url, table, zone=zone, output_limit=output_limit)


async def _open_server(db: str) -> Import:
    if db.startswith(POSTGRES):
        require("asyncpg", "postgres", db)
        from queue_server.store.postgres.moving import PostgresMoving  # noqa: PLC0415

        return await PostgresMoving.open(db)
    require("asyncmy", "mysql", db)
    from queue_server.store.mysql.moving import MysqlMoving  # noqa: PLC0415

    return await MysqlMoving.open(db)
