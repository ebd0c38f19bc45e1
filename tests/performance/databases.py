"""Where the servers under test keep their jobs: a file each, or a database each of one database server."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncmy
import asyncpg

from tests.performance.children import BenchmarkError

PREFIX = f"qsbench_{os.getpid()}_"
"""Databases of this run; they are dropped at its end."""

Run = Callable[[str], Awaitable[list[Any]]]


def url_of(server: str, database: Path) -> str:
    """What the setting `db` has to be; `server` is the URL of a database server, or empty for files."""
    return f"{server.rstrip('/')}/{PREFIX}{database.stem}" if server else f"sqlite:///{database}"


def prepare(server: str, database: Path) -> str:
    """The same, of a database that is there."""
    if server:
        asyncio.run(_on(server, lambda run: _create(run, PREFIX + database.stem)))
    return url_of(server, database)


@contextmanager
def dropped_at_the_end(server: str) -> Iterator[None]:
    """Leave no database of this run behind."""
    try:
        yield
    finally:
        if server:
            asyncio.run(_on(server, _drop_all))


def is_postgres(server: str) -> bool:
    return server.startswith("postgres")


def queries(url: str) -> int:
    """What has been asked of this database so far: its transactions, or with MySQL all statements of the server."""
    found: list[int] = []

    async def count(run: Run) -> None:
        if is_postgres(url):
            name = url.rpartition("/")[2]
            rows = await run(f"select xact_commit + xact_rollback from pg_stat_database where datname = '{name}'")
            found.append(rows[0][0])
        else:
            found.append(int((await run("show global status like 'Questions'"))[0][1]))

    asyncio.run(_on(url.rpartition("/")[0], count))
    return found[0]


async def _create(run: Run, name: str) -> None:
    if name not in await _names(run):
        await run(f"create database {name}")


async def _drop_all(run: Run) -> None:
    for name in await _names(run):
        if name.startswith(PREFIX):
            await run(f"drop database {name}")


async def _names(run: Run) -> list[str]:
    try:
        return [row[0] for row in await run("select datname from pg_database")]
    except asyncmy.errors.Error:
        return [row[0] for row in await run("show databases")]


async def _on(server: str, work: Callable[[Run], Awaitable[None]]) -> None:
    """Do something on a connection to the server."""
    parts = urlsplit(server)
    try:
        if is_postgres(server):
            connection = await asyncpg.connect(server.rstrip("/") + "/postgres")
            try:
                await work(connection.fetch)
            finally:
                await connection.close()
            return
        connection = await asyncmy.connect(
            host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or ""
        )
    except (OSError, asyncpg.PostgresError, asyncmy.errors.Error) as error:
        raise BenchmarkError(f"--db {server}: {error}") from error
    async with connection.cursor() as cursor:

        async def run(query: str) -> list[Any]:
            await cursor.execute(query)
            return list(await cursor.fetchall())

        await work(run)
    connection.close()
