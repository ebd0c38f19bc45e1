"""Moving rows out of a PostgreSQL database and into one. See Import."""

from collections.abc import Sequence
from typing import Any, Self

from queue_server.domain.errors import StoreRefused
from queue_server.store.migrations import load_migrations
from queue_server.store.moving import COUNTED, PASSING, NextIds, Table
from queue_server.store.moving_server import ServerMoving, Statement, refused
from queue_server.store.moving_sql import Wording
from queue_server.store.postgres.address import Address, parse_address
from queue_server.store.postgres.faults import refusal
from queue_server.store.postgres.migrating import IS_THERE, MIGRATIONS, VERSION
from queue_server.store.postgres.session import PLAIN, Session, connect
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import storable

SEQUENCES = {name: "job_id" if name == "job" else f"{name}_id_seq" for name in COUNTED}


class PostgresMoving(ServerMoving):
    """See Import."""

    wording = Wording(lambda name: f'"{name}"', lambda number: f"${number}")
    keep_known = "on conflict do nothing"
    move_mark = "on conflict (hash) do update set job_id = excluded.job_id"
    passing = f"'\\x{PASSING.hex()}'::bytea"
    time_query = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"

    def __init__(self, session: Session, address: Address) -> None:
        self._session = session
        self._address = address

    @classmethod
    async def open(cls, db: str) -> Self:
        """Connect; StoreRefused if its schema is not the one that this version knows."""
        address = parse_address(db)
        try:
            session = await connect(address, PLAIN)
            try:
                await _check_version(session, address)
            except BaseException:
                session.terminate()
                raise
        except Exception as error:  # noqa: BLE001 (a person is told in one line)
            raise refusal(error, address.label) from None
        return cls(session, address)

    @property
    def label(self) -> str:
        """See Export.label."""
        return self._address.label

    async def close(self) -> None:
        """See Export.close."""
        await self._session.close()

    async def next_ids(self) -> NextIds:
        """See Export.next_ids."""
        query = " union all ".join(
            f"select '{name}', last_value + is_called::int from {sequence}"  # noqa: S608 (our own names)
            for name, sequence in SEQUENCES.items()
        )
        return {str(name): int(next_id) for name, next_id in await self.rows(query)}

    def reserve_statement(self, table: str, next_id: int) -> str:
        """See ServerMoving."""
        return f"select setval('{SEQUENCES[table]}', {next_id}, false)"

    def stored(self, table: Table, row: Row) -> Row:
        """See ServerMoving. PostgreSQL takes no NUL characters."""
        return tuple(storable(value) if isinstance(value, str) else value for value in super().stored(table, row))

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        """See ServerMoving."""
        try:
            return await self._session.rows_of(sql, values)
        except Exception as error:  # noqa: BLE001 (a person is told in one line)
            raise refused(self.label, error) from None

    async def transact(self, statements: Sequence[Statement]) -> None:
        """See ServerMoving."""

        async def work(session: Session) -> None:
            for sql, values in statements:
                await session.rows_of(sql, values)

        try:
            await self._session.transaction(work)
        except Exception as error:  # noqa: BLE001 (a person is told in one line)
            raise refused(self.label, error) from None


async def _check_version(session: Session, address: Address) -> None:
    is_ours = (await session.rows_of(IS_THERE, ()))[0][0]
    found = (await session.rows_of(VERSION, ()))[0][0] if is_ours else 0
    known = len(load_migrations(MIGRATIONS))
    if found != known:
        raise StoreRefused(
            f"{address.label} has schema version {found}, this Queue Server moves version {known}; "
            "run `queue-server migrate` on it first"
        )
