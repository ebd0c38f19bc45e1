"""Writes the schema that the migrations of the MySQL store make to its schema.sql. A test holds that they agree.

    python tools/schema_mysql.py mysql://root@127.0.0.1:3306/EMPTY_DATABASE

The file is as MariaDB writes it; MySQL uses other words for the same.
"""

import asyncio
import re
import sys
from importlib.resources import files
from pathlib import Path

from queue_server.store.mysql.address import parse_address
from queue_server.store.mysql.connection import connect
from queue_server.store.mysql.migrating import migrate_database

HEADER = "-- Made from the migrations by tools/schema_mysql.py; not to be edited.\n"
NEXT_ID = re.compile(r" AUTO_INCREMENT=\d+")


async def schema(url: str) -> str:
    """Every table of a migrated database, in the order of their names."""
    connection = await connect(parse_address(url), autocommit=True)
    tables = [name for (name,) in await connection.rows("show tables")]
    statements = [(await connection.rows(f"show create table {name}"))[0][1] for name in sorted(tables)]
    await connection.close()
    return HEADER + "".join(f"\n{NEXT_ID.sub('', statement)};\n" for statement in statements)


def schema_file() -> Path:
    """Where the schema is written."""
    return Path(str(files("queue_server.store.mysql").joinpath("schema.sql")))


async def write(url: str) -> None:
    """Migrate an empty database and write its schema."""
    await migrate_database(url)
    schema_file().write_text(await schema(url), "utf-8")


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1]))
