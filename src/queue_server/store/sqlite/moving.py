"""Moving rows out of an SQLite file and into one. See Export and Import."""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from queue_server.domain.errors import StoreError, StoreRefused
from queue_server.store.migrations import load_migrations
from queue_server.store.moving import COUNTED, FOR_EVER, MARK_SCOPE, ONCE, PASSING, TAG, Mark, NextIds, Table
from queue_server.store.moving_sql import Wording, count_query, insert_rows, key_values, last_key_query, page_query
from queue_server.store.rows import Row
from queue_server.store.sqlite.connection import MIGRATIONS, explain, open_reader, open_writer
from queue_server.store.sqlite.lock import FileLock, refuse_network_file_system

PAGE_BYTES = 4 * 1024 * 1024
"""A page ends with the row that reaches it, so that large outputs don't fill the memory."""

CHECKPOINT_PAGES = 4000
"""Pages of the log after which a commit copies them into the file: nobody else has it open."""

WORDING = Wording(lambda name: f'"{name}"', lambda number: f"?{number}")


class SqliteExport:
    """See Export. StoreInUse if a server has the file."""

    keeps_digests = False

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StoreRefused(f"there is no file {path}")
        self._path = path
        self._lock = FileLock(path)
        try:
            with self._explained():
                self._database = self._open()
        except BaseException:
            self._lock.release()
            raise

    @property
    def label(self) -> str:
        """See Export.label."""
        return str(self._path)

    async def count(self, table: Table) -> int:
        """See Export.count."""
        return self._value(count_query(table, WORDING, _lasting(table)))

    async def page(self, table: Table, after: Row | None) -> Sequence[Row]:
        """See Export.page."""
        query = page_query(table, WORDING, goes_on=after is not None, where=_lasting(table))
        rows: list[Row] = []
        size = 0
        with self._explained():
            for row in self._database.execute(query, key_values(after or ())):
                rows.append(tuple(row))
                size += sum(len(value) for value in row if isinstance(value, (str, bytes)))
                if size > PAGE_BYTES:
                    break
        return rows

    async def last_key(self, table: Table) -> Row | None:
        """See Export.last_key."""
        with self._explained():
            query = last_key_query(table, WORDING, _lasting(table))
            return next((tuple(row) for row in self._database.execute(query)), None)

    async def next_ids(self) -> NextIds:
        """See Export.next_ids."""
        with self._explained():
            told = dict(self._database.execute("select name, seq + 1 from sqlite_sequence"))
        jobs = self._value("select next from sequence where name = 'job'")
        return {name: jobs if name == "job" else int(told.get(name, 1)) for name in COUNTED}

    async def live_nodes(self) -> Sequence[str]:
        """See Export.live_nodes: the lock keeps them off."""
        return ()

    async def close(self) -> None:
        """See Export.close."""
        self._database.close()
        self._lock.release()

    def _open(self) -> apsw.Connection:
        """A reading connection; StoreRefused if the schema is not the one that this version knows."""
        database = open_reader(self._path)
        found, known = int(database.pragma("user_version")), len(load_migrations(MIGRATIONS))
        if found != known:
            database.close()
            raise StoreRefused(
                f"{self._path} has schema version {found}, this Queue Server moves version {known}; "
                f"run `queue-server migrate --db sqlite:///{self._path}` first"
            )
        return database

    def _value(self, query: str, *values: Any) -> Any:
        with self._explained():
            return next((row[0] for row in self._database.execute(query, values)), None)

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except apsw.ConstraintError as error:
            raise StoreError(f"{self._path} has other rows already: {error}") from None
        except apsw.Error as error:
            raise StoreError(explain(error, self._path)) from None


class SqliteImport(SqliteExport):
    """See Import. The file is made if there is none."""

    def __init__(self, path: Path) -> None:
        refuse_network_file_system(path)
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise StoreRefused(f"can't write {path}: {error.strerror}") from None
        super().__init__(path)

    async def put(self, rows: Mapping[Table, Sequence[Row]], mark: Mark | None = None) -> None:
        """See Import.put."""
        with self._explained(), self._database:
            for table, its_rows in rows.items():
                ending = " on conflict do nothing" if table in (ONCE, TAG) else ""
                self._database.executemany(insert_rows(table, WORDING) + ending, its_rows)
            if mark:
                self._database.execute(
                    "insert into once (scope, key, fingerprint, job_id, until) values (?1, ?2, ?3, ?4, ?5) "
                    "on conflict do update set job_id = excluded.job_id",
                    (MARK_SCOPE, mark.name, mark.fingerprint, mark.last_id, FOR_EVER),
                )

    async def mark(self, name: str) -> int | None:
        """See Import.mark."""
        return self._value("select job_id from once where scope = ?1 and key = ?2", MARK_SCOPE, name)

    async def forget(self, name: str) -> None:
        """See Import.forget."""
        with self._explained():
            self._database.execute("delete from once where scope = ?1 and key = ?2", (MARK_SCOPE, name))

    async def reserve(self, next_ids: NextIds) -> None:
        """See Import.reserve."""
        have = await self.next_ids()
        with self._explained(), self._database:
            for name in COUNTED:
                if next_ids.get(name, 1) > have[name]:
                    self._reserve(name, next_ids[name])

    async def settle(self) -> None:
        """See Import.settle: a server counts when it starts."""

    def _reserve(self, name: str, next_id: int) -> None:
        if name == "job":
            self._database.execute("update sequence set next = ?1 where name = 'job'", (next_id,))
            return
        self._database.execute("delete from sqlite_sequence where name = ?1", (name,))
        self._database.execute("insert into sqlite_sequence (name, seq) values (?1, ?2 - 1)", (name, next_id))

    def _open(self) -> apsw.Connection:
        database = open_writer(self._path)
        database.wal_autocheckpoint(CHECKPOINT_PAGES)
        return database


def _lasting(table: Table) -> str:
    return f"fingerprint <> x'{PASSING.hex()}'" if table is ONCE else "true"
