"""Database servers for tests, and databases on them.

A server is the one that QS_TEST_POSTGRES or QS_TEST_MYSQL names; else the one on the default port of this machine, if
one answers there; else one of the test run's own, which all its processes share and which ends with it. Where none can
be had a test is skipped, but in CI (or with QS_TEST_ALL=1) it fails: there everything is tested.
"""

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import asyncmy
import asyncpg
import pytest

from tests.support import database_keeper, database_programs
from tests.support.database_programs import Recipe
from tests.support.waiting import until


class Kind(NamedTuple):
    """A kind of database server."""

    variable: str
    default: str
    own: str
    recipe: Callable[[], Recipe | None]
    package: str


POSTGRES = Kind(
    "QS_TEST_POSTGRES",
    "postgresql://postgres@127.0.0.1:5432",
    "postgresql://postgres@127.0.0.1:{}",
    database_programs.postgres,
    "postgresql",
)
MYSQL = Kind(
    "QS_TEST_MYSQL",
    "mysql://root@127.0.0.1:3306",
    "mysql://root@127.0.0.1:{}",
    database_programs.mariadb,
    "mariadb-server",
)


class Missing(Exception):
    """There is no server and none can be started; the sentence says what to install."""


def postgres_server() -> str:
    """A PostgreSQL server's URL without a database."""
    return _server_or_skip(POSTGRES)


def mysql_server() -> str:
    """A MySQL or MariaDB server's URL without a database."""
    return _server_or_skip(MYSQL)


def server_of(kind: Kind) -> str:
    """A server's URL without a database; Missing says why there is none."""
    return _server(kind)


def make_database(server: str) -> str:
    """Make an empty database with a name of its own on a server; its URL."""
    name = f"qstest_{os.getpid()}_{uuid.uuid4().hex[:12]}"
    run_sql(server, f"create database {name}")
    return f"{server}/{name}"


def drop_database(url: str) -> None:
    """Drop a database, whoever is still connected to it."""
    server, _, name = url.partition("?")[0].rpartition("/")
    run_sql(server, f"drop database if exists {name}" + (" with (force)" if _is_postgres(server) else ""))


@contextmanager
def database(server: str) -> Iterator[str]:
    """The URL of a database that is dropped at the end."""
    url = make_database(server)
    try:
        yield url
    finally:
        drop_database(url)


def run_sql(url: str, *statements: str) -> Sequence[Sequence[Any]]:
    """Run statements on a connection of their own, each a transaction; the rows of the last. An event loop may run."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_run(url, statements))).result()


def report() -> str:
    """One line for the head of a test run: which servers it will use."""
    return "databases: " + ", ".join(_plan(kind) for kind in (POSTGRES, MYSQL))


def _server_or_skip(kind: Kind) -> str:
    try:
        return _server(kind)
    except Missing as error:
        if must_not_skip():
            pytest.fail(str(error))
        pytest.skip(str(error), allow_module_level=True)


def must_not_skip() -> bool:
    """Whether everything has to be tested here."""
    return os.environ.get("CI", "") in ("true", "1") or os.environ.get("QS_TEST_ALL") == "1"


@cache
def _server(kind: Kind) -> str:
    if named := os.environ.get(kind.variable, "").rstrip("/"):
        if not _answers(named):
            raise Missing(f"{kind.variable}: no database server answers there")
        return named
    return kind.default if _answers(kind.default) else _own_server(kind)


def _plan(kind: Kind) -> str:
    """What `_server` will find, without asking a driver."""
    if named := os.environ.get(kind.variable):
        return (
            f"{urlsplit(named)._replace(netloc=urlsplit(named).netloc.rpartition('@')[2]).geturl()} ({kind.variable})"
        )
    if _listens(urlsplit(kind.default)):
        return kind.default
    return f"{kind.package} of its own" if kind.recipe() else f"no {kind.package}"


def _own_server(kind: Kind) -> str:
    """The test run's own server, started by whichever of its processes needs it first."""
    recipe = kind.recipe()
    if recipe is None:
        raise Missing(
            f"no database server answers at {kind.default}, and none is installed: "
            f"`apt-get install {kind.package}` (or your system's package), or name one in {kind.variable}"
        )
    folder = _folder(kind)
    told = folder / "url"
    with (folder / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            told.write_text(_start(kind, recipe, folder))
    return told.read_text()


def _start(kind: Kind, recipe: Recipe, folder: Path) -> str:
    data, port = folder / "data", _free_port()
    database_programs.make(recipe, data)
    serve = [*map(str, recipe.serve(data, port))]
    with (folder / "log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, database_keeper.__file__, str(_run_pid()), str(folder), str(recipe.user), *serve],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    url = kind.own.format(port)
    until(lambda: _answers(url) or keeper.poll() is not None, 60, f"the start of {kind.package}")
    assert keeper.poll() is None, (folder / "log").read_text()
    _keepers.append(keeper)
    return url


_keepers: list[subprocess.Popen[bytes]] = []
"""Kept, so that nothing complains of a process that is still running: it outlives this one on purpose."""


def _folder(kind: Kind) -> Path:
    """Where this test run's server of a kind is, the same in all its processes."""
    folder = Path(tempfile.gettempdir(), f"queue-server-tests-{os.getuid()}-{_run_pid()}-{kind.package}")
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


def _run_pid() -> int:
    """The process that lives as long as the test run: of xdist's workers it is the parent."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def _answers(url: str) -> bool:
    if not _listens(urlsplit(url)):
        return False
    try:
        return bool(run_sql(url, "select 1"))
    except (OSError, asyncpg.PostgresError, asyncmy.errors.Error):
        return False


def _listens(address: SplitResult) -> bool:
    default = 5432 if address.scheme.startswith("postgres") else 3306
    try:
        socket.create_connection((address.hostname or "127.0.0.1", address.port or default), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_postgres(url: str) -> bool:
    return url.startswith("postgres")


async def _run(url: str, statements: Sequence[str]) -> Sequence[Sequence[Any]]:
    run: Callable[[str], Awaitable[Sequence[Sequence[Any]]]]
    if _is_postgres(url):
        connection = await asyncpg.connect(url if urlsplit(url).path.strip("/") else f"{url}/postgres", timeout=10)
        run = connection.fetch
    else:
        connection = await asyncmy.connect(**_address(url), connect_timeout=10, autocommit=True)

        async def run(sql: str) -> Sequence[Sequence[Any]]:
            async with connection.cursor() as cursor:
                await cursor.execute(sql)
                return await cursor.fetchall()

    try:
        return [await run(statement) for statement in statements][-1]
    finally:
        await connection.close() if _is_postgres(url) else await connection.ensure_closed()


def _address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or "root"),
        "password": unquote(parts.password or ""),
        "database": parts.path.strip("/") or None,
        "charset": "utf8mb4",
    }
