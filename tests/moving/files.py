"""A look into a database that a process is writing to."""

from contextlib import closing

import apsw

from tests.support.databases import run_sql

SQLITE = "sqlite:///"


def rows_in(db: str, table: str) -> int:
    """How many rows a table has by now; none before there is one."""
    try:
        return _count(db, f"select count(*) from {table}")
    except Exception as error:
        if not any(
            words in str(error) for words in ("no such table", "does not exist", "doesn't exist", "unable to open")
        ):
            raise
        return 0


def _count(db: str, query: str) -> int:
    if not db.startswith(SQLITE):
        return run_sql(db, query)[0][0]
    with closing(apsw.Connection(db.removeprefix(SQLITE), flags=apsw.SQLITE_OPEN_READWRITE)) as database:
        database.set_busy_timeout(1000)
        return next(database.execute(query))[0]
