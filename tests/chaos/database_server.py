"""Database servers of one test, to be killed, started again, copied and promoted."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncmy
import asyncpg

from tests.support import database_programs
from tests.support.database_programs import Recipe
from tests.support.databases import run_sql
from tests.support.server import free_port
from tests.support.waiting import until

NOT_READY = (OSError, asyncpg.PostgresError, asyncmy.errors.Error, asyncpg.InterfaceError)
CONNECTIONS = 500
STANDBY = "standby"


@dataclass
class DatabaseServer:
    """A database server in a folder of its own, on a port that stays the same."""

    recipe: Recipe
    data: Path
    form: str
    port: int
    settings: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL, without a database."""
        return self.form.format(self.port)

    def start(self, within_s: float = 60) -> None:
        """Start it; it answers when this returns."""
        until(self._starts, within_s, "the database's start")

    def _starts(self) -> bool:
        """One try: PostgreSQL refuses to start while a process of a killed one is still there."""
        with Path(f"{self.data}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*map(str, self.recipe.serve(self.data, self.port)), *self.settings],
                user=self.recipe.user,
                extra_groups=[] if os.getuid() == 0 else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        return until(lambda: self.answers() or self._has_ended(), 60, "the database's answer") == "answers"

    def answers(self) -> str:
        try:
            run_sql(self.url, "select 1")
        except NOT_READY:
            return ""
        return "answers"

    def _has_ended(self) -> str:
        assert self.process
        return "" if self.process.poll() is None else "ended"

    def kill(self) -> None:
        """kill -9 of the server and all of its processes at once: what a power loss leaves of a program."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        for child in map(int, children):
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def end(self) -> None:
        """End it in any case."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def sql(self, *statements: str) -> Sequence[Sequence[object]]:
        """Run statements on it, outside of any database of the test; the rows of the last."""
        return run_sql(self.url, *statements)


@contextmanager
def postgres_of_its_own(*settings: str) -> Iterator[DatabaseServer]:
    """A PostgreSQL server with settings (`name=value`) of the test's own."""
    recipe = database_programs.postgres()
    assert recipe, "PostgreSQL is not installed (apt-get install postgresql)"
    form = "postgresql://postgres@127.0.0.1:{}"
    with _running(
        recipe, form, [f"-c{setting}" for setting in (f"max_connections={CONNECTIONS}", *settings)]
    ) as server:
        yield server


@contextmanager
def mariadb_of_its_own(*settings: str) -> Iterator[DatabaseServer]:
    """A MariaDB server with settings (`name=value`) of the test's own."""
    recipe = database_programs.mariadb()
    assert recipe, "MariaDB is not installed (apt-get install mariadb-server)"
    with _running(recipe, "mysql://root@127.0.0.1:{}", [f"--{setting}" for setting in settings]) as server:
        yield server


@contextmanager
def _running(recipe: Recipe, form: str, settings: Sequence[str]) -> Iterator[DatabaseServer]:
    folder = _folder()
    server = DatabaseServer(recipe, folder / "data", form, free_port(), settings)
    try:
        database_programs.make(recipe, server.data)
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder)


@contextmanager
def standby_of(primary: DatabaseServer, *, port: int, through: int | None = None) -> Iterator[DatabaseServer]:
    """A running standby of a PostgreSQL server, which reaches it through the port of a proxy if one is named.

    The primary is told nothing: `make_synchronous` has it wait for the standby.
    """
    folder = _folder()
    standby = DatabaseServer(primary.recipe, folder / "data", primary.form, port, primary.settings)
    try:
        _copy(primary, standby.data, through or primary.port)
        standby.start()
        yield standby
    finally:
        standby.end()
        shutil.rmtree(folder)


def make_synchronous(primary: DatabaseServer) -> None:
    """Have a primary acknowledge nothing that its standby has not got; returns when that is so."""
    primary.sql(f"alter system set synchronous_standby_names = '{STANDBY}'", "select pg_reload_conf()")
    wait_for_standby(primary, "sync")


def wait_for_standby(primary: DatabaseServer, state: str) -> None:
    """Wait until a primary's standby streams, in this state: `sync` or `async`."""
    asked = f"select count(*) from pg_stat_replication where state = 'streaming' and sync_state = '{state}'"
    until(lambda: primary.sql(asked)[0][0], 30, f"a standby that streams ({state})")


def promote(standby: DatabaseServer) -> None:
    """Make a standby the primary, which waits for nobody; it takes writes when this returns."""
    standby.sql("alter system reset synchronous_standby_names", "select pg_reload_conf()")
    assert standby.sql("select pg_promote()")[0][0]


def _copy(primary: DatabaseServer, data: Path, port: int) -> None:
    source = f"host=127.0.0.1 port={port} user=postgres application_name={STANDBY}"
    program = Path(primary.recipe.serve(data, port)[0]).resolve().with_name("pg_basebackup")
    data.mkdir(mode=0o700)
    os.chown(data, primary.recipe.user, -1)
    done = subprocess.run(
        [program, "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", source],
        user=primary.recipe.user,
        extra_groups=[] if os.getuid() == 0 else None,
        cwd="/",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def _folder() -> Path:
    """A folder that the database's user may enter, which a test's own folder is not."""
    folder = Path(tempfile.mkdtemp(prefix="queue-server-chaos-"))
    folder.chmod(0o755)
    return folder
