"""Moving rows out of a database server and into one: what PostgreSQL and MySQL have in common. See Import.

Their idempotency keys are kept as digests, and the numbers of jobs by state as notes that are added up.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from queue_server.domain.errors import StoreError
from queue_server.store.contract import LEASE_S
from queue_server.store.moving import (
    COUNTED,
    FOR_EVER,
    MARK_SCOPE,
    ONCE,
    TABLES,
    TAG,
    Mark,
    NextIds,
    Table,
)
from queue_server.store.moving_sql import (
    Wording,
    count_query,
    insert_rows,
    key_values,
    last_key_query,
    page_query,
)
from queue_server.store.once import digest_of
from queue_server.store.rows import Row

DIGESTS = Table("once", ("hash",), ("hash", "fingerprint", "job_id", "until"))
"""How idempotency keys are kept here."""

STATEMENT_BYTES = 1024 * 1024
"""A statement ends with the row that reaches it: servers take no statements of any length."""

Statement = tuple[str, Sequence[Any]]


class ServerMoving(ABC):
    """See Import. A subclass knows its driver and where its database differs."""

    keeps_digests = True
    wording: Wording
    keep_known: str
    """The end of an insert that leaves rows alone which are there."""

    move_mark: str
    """The end of the insert of a mark that moves the one that is there."""

    passing: str
    """The literal of PASSING."""

    time_query: str
    """Asks for µs since 1970 UTC."""

    analyze: str = "analyze"

    @property
    @abstractmethod
    def label(self) -> str:
        """See Export.label."""

    @abstractmethod
    async def close(self) -> None:
        """See Export.close."""

    @abstractmethod
    async def next_ids(self) -> NextIds:
        """See Export.next_ids."""

    @abstractmethod
    async def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        """The rows of a query."""

    @abstractmethod
    async def transact(self, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction."""

    @abstractmethod
    def reserve_statement(self, table: str, next_id: int) -> str:
        """Have a table's next id be this one."""

    def stored(self, table: Table, row: Row) -> Row:
        """The values of a row's columns and of `extra_columns`."""
        return _digested(row) if table is ONCE else row

    def extra_columns(self, _table: Table) -> Sequence[str]:
        """Columns of the database's own."""
        return ()

    async def count(self, table: Table) -> int:
        """See Export.count."""
        ((count,),) = await self.rows(count_query(_kept(table), self.wording, self._lasting(table)))
        return int(count)

    async def page(self, table: Table, after: Row | None) -> Sequence[Row]:
        """See Export.page."""
        key = after[1:] if after is not None and table is ONCE else after
        query = page_query(_kept(table), self.wording, goes_on=key is not None, where=self._lasting(table))
        rows = await self.rows(query, key_values(key or ()))
        return [(None, *row) for row in rows] if table is ONCE else [tuple(row) for row in rows]

    async def last_key(self, table: Table) -> Row | None:
        """See Export.last_key."""
        rows = await self.rows(last_key_query(_kept(table), self.wording, self._lasting(table)))
        if not rows:
            return None
        return (None, *rows[0]) if table is ONCE else tuple(rows[0])

    async def live_nodes(self) -> Sequence[str]:
        """See Export.live_nodes."""
        ((now,),) = await self.rows(self.time_query)
        since = int(now) - round(LEASE_S * 1_000_000)
        query = f"select name from node where beat_at > {self.wording.value(1)} order by name"  # noqa: S608 (a place)
        return [str(name) for (name,) in await self.rows(query, (since,))]

    async def put(self, rows: Mapping[Table, Sequence[Row]], mark: Mark | None = None) -> None:
        """See Import.put."""
        statements = [statement for table, its_rows in rows.items() for statement in self._inserts(table, its_rows)]
        if mark is not None:
            values = (_mark_digest(mark.name), mark.fingerprint, mark.last_id, FOR_EVER)
            statements.append((f"{insert_rows(DIGESTS, self.wording, 1)} {self.move_mark}", values))
        await self.transact(statements)

    async def mark(self, name: str) -> int | None:
        """See Import.mark."""
        rows = await self.rows(f"select job_id from once where hash = {self.wording.value(1)}", (_mark_digest(name),))  # noqa: S608
        return int(rows[0][0]) if rows else None

    async def forget(self, name: str) -> None:
        """See Import.forget."""
        await self.transact([(f"delete from once where hash = {self.wording.value(1)}", (_mark_digest(name),))])  # noqa: S608

    async def reserve(self, next_ids: NextIds) -> None:
        """See Import.reserve."""
        have = await self.next_ids()
        for name in COUNTED:
            if next_ids.get(name, 1) > have[name]:
                await self.rows(self.reserve_statement(name, next_ids[name]))

    async def settle(self) -> None:
        """See Import.settle: count the jobs anew, and have the planner know the tables."""
        change = self.wording.name("change")
        insert = f"insert into tally (state, {change}) select state, count(*) from job group by state"  # noqa: S608
        await self.transact([("delete from tally", ()), (insert, ())])
        for table in TABLES:
            await self.rows(f"{self.analyze} {self.wording.name(table.name)}")

    def _inserts(self, table: Table, rows: Sequence[Row]) -> Iterator[Statement]:
        kept = _kept(table)
        columns = (*kept.columns, *self.extra_columns(table))
        ending = self.keep_known if table in (ONCE, TAG) else ""
        for group in _groups([self.stored(table, row) for row in rows]):
            values = [value for row in group for value in row]
            yield f"{insert_rows(kept, self.wording, len(group), columns)} {ending}", values

    def _lasting(self, table: Table) -> str:
        return f"fingerprint <> {self.passing}" if table is ONCE else "true"


def refused(label: str, error: Exception) -> StoreError:
    """What a person is told of rows that can't be put there."""
    return StoreError(f"{label} does not take it: {error}")


def _kept(table: Table) -> Table:
    return DIGESTS if table is ONCE else table


def _digested(row: Row) -> Row:
    """A row of ONCE as it is kept here; one without a scope has the digest as its key."""
    scope, key, *facts = row
    return (cast("bytes", key) if scope is None else digest_of((scope, key)), *facts)


def _mark_digest(name: str) -> bytes:
    return digest_of((MARK_SCOPE, name))


def _groups(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows, so many at a time as a statement takes."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(value) for value in row if isinstance(value, (str, bytes)))
        if size > STATEMENT_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
