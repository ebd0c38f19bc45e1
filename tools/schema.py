"""Writes the schema that the migrations of the SQLite store make to its schema.sql. A test holds that they agree."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import apsw

from queue_server.store.migrations import load_migrations
from queue_server.store.sqlite.connection import MIGRATIONS

HEADER = "-- Made from the migrations by tools/schema.py; not to be edited.\n"


def schema() -> str:
    """Every table and index as the migrations leave them, in the order of their names."""
    return HEADER + "".join(f"\n{statement};\n" for statement in _statements())


def _statements() -> Iterator[str]:
    database = apsw.Connection(":memory:")
    for migration in load_migrations(MIGRATIONS):
        database.execute(migration.sql)
    query = "select sql from sqlite_schema where sql is not null order by tbl_name, type desc, name"
    for (statement,) in database.execute(query):
        if not statement.startswith("CREATE TABLE sqlite_"):
            yield statement


def schema_file() -> Path:
    """Where the schema is written."""
    return Path(str(files("queue_server.store.sqlite").joinpath("schema.sql")))


if __name__ == "__main__":
    schema_file().write_text(schema(), "utf-8")
