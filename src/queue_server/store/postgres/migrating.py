"""The schema, and whether this server can use the database."""

from collections.abc import Sequence
from functools import partial

from queue_server.domain.errors import StoreRefused
from queue_server.store.migrations import Migration, load_migrations, pending
from queue_server.store.postgres.address import Address, parse_address
from queue_server.store.postgres.faults import refusal
from queue_server.store.postgres.session import PLAIN, Session, connect

MIGRATIONS = "queue_server.store.postgres.migrations"
LEAST_VERSION = 130000
LOCK = 0x51535256
"""Held while the schema changes, so that of nodes that start at once one does it and the others wait."""

VERSION_TABLE = "create table if not exists queue_server_schema (version integer not null)"
VERSION = "select coalesce(max(version), 0) from queue_server_schema"
IS_THERE = "select to_regclass('queue_server_schema') is not null"
IS_OTHERS = "select to_regclass('job') is not null"


async def migrate_database(db: str) -> list[str]:
    """Bring the schema up to date; the names of the steps that were taken. StoreRefused where that is impossible."""
    address = parse_address(db)
    try:
        session = await connect(address, PLAIN)
        try:
            return await migrate(session, address)
        finally:
            await session.close()
    except Exception as error:  # noqa: BLE001 (a person is told in one line)
        raise refusal(error, address.label) from None


async def migrate(session: Session, address: Address) -> list[str]:
    """See `migrate_database`, on a connection."""
    if await _value(session, "select current_setting('server_version_num')::int") < LEAST_VERSION:
        raise StoreRefused(f"{address.label} is older than PostgreSQL 13; Queue Server needs 13 or newer")
    return [
        f"{step.number:04} {step.name}"
        for step in await _pending(session, address)
        if await session.transaction(partial(_take, step=step, address=address))
    ]


async def _pending(session: Session, address: Address) -> Sequence[Migration]:
    is_ours = await _value(session, IS_THERE)
    if not is_ours and await _value(session, IS_OTHERS):
        raise StoreRefused(
            f"{address.label} has tables of another program; give Queue Server its own database with --db"
        )
    version = await _value(session, VERSION) if is_ours else 0
    return pending(load_migrations(MIGRATIONS), version, address.label)


async def _take(session: Session, *, step: Migration, address: Address) -> bool:
    """Take a step, unless another node has meanwhile."""
    await session.script(f"set local lock_timeout = 0; select pg_advisory_xact_lock({LOCK})")
    await session.script(VERSION_TABLE)
    if step not in pending(load_migrations(MIGRATIONS), await _value(session, VERSION), address.label):
        return False
    await session.script(step.sql)
    await session.rows_of("insert into queue_server_schema values ($1)", (step.number,))
    return True


async def _value(session: Session, query: str) -> int:
    return (await session.rows_of(query, ()))[0][0]
