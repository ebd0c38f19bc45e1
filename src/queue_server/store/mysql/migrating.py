"""Bringing the schema of a database up to date, also when several nodes start at once."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from queue_server.domain.errors import StoreRefused
from queue_server.store.migrations import Migration, load_migrations, pending
from queue_server.store.mysql.address import Address, parse_address
from queue_server.store.mysql.connection import Connection, connect
from queue_server.store.mysql.faults import refusal
from queue_server.store.mysql.warnings import Server, examine

MIGRATIONS = "queue_server.store.mysql.migrations"
LOCK_WAIT_S = 300

VERSION_TABLE = """create table if not exists schema_version (
    number     bigint not null primary key,
    name       varchar(255) not null
) engine = InnoDB character set utf8mb4 collate {collation}"""

FOREIGN_TABLES = """select count(*), coalesce(sum(table_name = 'schema_version'), 0)
from information_schema.tables where table_schema = database()"""


async def migrate_database(db: str) -> list[str]:
    """Migrate a database without starting a server; the names of the steps that were taken."""
    address = parse_address(db)
    async with starting(address) as (connection, server):
        return await migrate(connection, server, address)


@asynccontextmanager
async def starting(address: Address) -> AsyncGenerator[tuple[Connection, Server]]:
    """A connection for what is done at start, without time limits. Whatever fails is a StoreRefused."""
    try:
        connection = await connect(address, autocommit=True, limit_s=None)
    except Exception as error:  # noqa: BLE001 (whatever it is, it can't be used)
        raise refusal(error, address.label, address.user, address.database) from None
    try:
        yield connection, await examine(connection, address)
    except StoreRefused:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it can't be used)
        raise refusal(error, address.label, address.user, address.database) from None
    finally:
        await connection.close()


async def migrate(connection: Connection, server: Server, address: Address) -> list[str]:
    """Bring the schema up to date; the names of the steps that were taken.

    One node does it while the others wait. A statement that changes the schema can't be undone, so each step may be
    repeated, and counts as taken once it is whole.
    """
    migrations = load_migrations(MIGRATIONS)
    async with _lock(connection, address):
        await _check_owner(connection, address)
        await connection.run(VERSION_TABLE.format(collation=server.collation))
        ((version,),) = await connection.rows("select coalesce(max(number), 0) from schema_version")
        steps = pending(migrations, version, address.label)
        for step in steps:
            for statement in statements(step, server):
                await connection.run(statement)
            await connection.run("insert into schema_version (number, name) values (?, ?)", (step.number, step.name))
    return [f"{step.number:04} {step.name}" for step in steps]


def statements(migration: Migration, server: Server) -> Sequence[str]:
    """The statements of a step. They end with a semicolon at the end of a line."""
    lines = [line for line in migration.sql.splitlines() if not line.lstrip().startswith("--")]
    text = "\n".join(lines).replace("{collation}", server.collation)
    return [statement.strip() for statement in text.split(";\n") if statement.strip(" ;\n")]


@asynccontextmanager
async def _lock(connection: Connection, address: Address) -> AsyncGenerator[None]:
    name = f"queue-server {address.database}"[:64]
    ((has_lock,),) = await connection.rows("select get_lock(?, ?)", (name, LOCK_WAIT_S))
    if not has_lock:
        raise StoreRefused(f"another server has been migrating {address.label} for {LOCK_WAIT_S} s")
    try:
        yield
    finally:
        await connection.rows("select release_lock(?)", (name,))


async def _check_owner(connection: Connection, address: Address) -> None:
    """Refuse a database that is not ours before anything is changed in it."""
    ((tables, is_ours),) = await connection.rows(FOREIGN_TABLES)
    if tables and not is_ours:
        raise StoreRefused(f"{address.label} holds tables of another program; give Queue Server a database of its own")
