"""The server under test: how it is started, asked and stopped."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from tests.performance import children, databases, procfs
from tests.performance.children import BenchmarkError
from tests.performance.options import Options
from tests.performance.wire import Connection

DONE = 3
SERVE = "serve --port {port} --db {url} --exec any --log-format json --concurrency {slots}"


class Counts(msgspec.Struct, frozen=True):
    """What `/jobs/status` says."""

    waiting: int
    working: int
    max_threads: int


class Added(msgspec.Struct, frozen=True):
    """What `/jobs/add` answers."""

    job_id: int


class Progress(msgspec.Struct, frozen=True):
    """What `/jobs/status/<id>` says."""

    worker_status: int


class JobStatus(msgspec.Struct, frozen=True):
    data: Progress


class Status(msgspec.Struct, frozen=True):
    data: Counts


class Server:
    """A running server and one connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, connection: Connection) -> None:
        self.port = port
        self._process = process
        self._connection = connection

    def add(self, job: bytes) -> int:
        """Add a job, wait for the promise that it is durable, and return its id."""
        return msgspec.json.decode(self._connection.exchange("POST", "/jobs/add", job), type=Added).job_id

    def succeeded(self, job_id: int) -> bool:
        """Has this job run, and well?"""
        answer = self._connection.exchange("GET", f"/jobs/status/{job_id}")
        return msgspec.json.decode(answer, type=JobStatus).data.worker_status == DONE

    def counts(self) -> Counts:
        return msgspec.json.decode(self._connection.exchange("GET", "/jobs/status"), type=Status).data

    def cpu_s(self) -> float:
        """CPU seconds used so far by the server and everything it has started."""
        return procfs.cpu_s(self._process.pid)

    def memory(self) -> list[procfs.Memory]:
        """The memory of the server's process, first, and of its children."""
        return procfs.memory(self._process.pid)


@contextmanager
def running_server(options: Options, database: Path) -> Iterator[Server]:
    """A server on this database file; the block begins when it can be connected to, and it stops after it."""
    port, log = children.free_port(), database.with_suffix(".log")
    command = server_command(options, port, database)
    with (
        children.running(command, log, folder=database.parent) as process,
        closing(children.connect(process, port, log)) as connection,
    ):
        try:
            yield Server(process, port, connection)
        except (BenchmarkError, OSError) as error:
            raise BenchmarkError(f"{error}\nThe server said:\n{children.tail(log)}") from error


def server_command(options: Options, port: int, database: Path) -> list[str]:
    command = options.server_command or shlex.quote(executable())
    if "{port}" not in command:
        command = f"{command.removesuffix(' serve')} {SERVE}"
    program, *arguments = shlex.split(command)
    url = databases.prepare(options.db, database)
    values = {"port": port, "db": database, "url": url, "slots": options.slots}
    found = Path(shutil.which(program) or program).absolute()  # the server runs in another folder
    return [str(found), *(argument.format(**values) for argument in arguments)]


def help_command(options: Options) -> list[str]:
    """The command that only prints the server's help; empty when it is not known how."""
    if "{port}" in options.server_command:
        return []
    command = options.server_command or shlex.quote(executable())
    return [*shlex.split(command.removesuffix(" serve")), "--help"]


def executable() -> str:
    return str(Path(sys.executable).with_name("queue-server"))
