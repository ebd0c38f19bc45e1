"""Writes the schema.sql of every store, from the migrations: `make schema`.

The databases are those that tests use (tests/support/databases.py): named by QS_TEST_POSTGRES and QS_TEST_MYSQL, found
on their default ports, or started for the moment. What can't be had is left out, and said; with QS_TEST_ALL=1, and in
CI, that is a failure.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator

from tests.support.databases import MYSQL, POSTGRES, Kind, Missing, database, must_not_skip, run_sql, server_of
from tools import schema, schema_mysql, schema_postgres


def write_all() -> list[str]:
    """Write every schema that can be written; a sentence about each that can't."""
    schema.schema_file().write_text(schema.schema(), "utf-8")
    return [*write_one(POSTGRES, _postgres), *write_one(MYSQL, _mariadb)]


def write_one(kind: Kind, write: Callable[[str], None]) -> Iterator[str]:
    """Have a schema written with a server of a kind, or say why it is not."""
    try:
        write(server_of(kind))
    except Missing as missing:
        yield f"the schema of {kind.package} is not written: {missing}"


def _postgres(server: str) -> None:
    with database(server) as url:
        asyncio.run(schema_postgres.write(url))


def _mariadb(server: str) -> None:
    version = run_sql(server, "select version()")[0][0]
    if "MariaDB" not in version:
        raise Missing(f"{server.rpartition('@')[2]} is MySQL {version}, and the file is as MariaDB writes it")
    with database(server) as url:
        asyncio.run(schema_mysql.write(url))


if __name__ == "__main__":
    left_out = write_all()
    for sentence in left_out:
        sys.stderr.write(sentence + "\n")
    sys.exit(bool(left_out) and must_not_skip())
