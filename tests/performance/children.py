"""Starts the other processes of a benchmark, and ends exactly those, by pid, whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tests.performance import procfs
from tests.performance.wire import Connection
from tests.performance.work import Work, read

ROOT = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 15.0  # longer than any of our programs takes, and a server whose running jobs were all answered


class BenchmarkError(Exception):
    """The benchmark can't go on; says why and shows what the process concerned has said."""


def program(name: str, *arguments: object) -> list[str]:
    """The command that runs one of our own programs."""
    return [sys.executable, "-m", f"tests.performance.programs.{name}", *map(str, arguments)]


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def running(
    command: Sequence[str], log: Path, *, folder: Path = ROOT, piped: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs as long as the block. What it says goes to `log`; with `piped` only stderr."""
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us alone: we end the others in order
            )
        except OSError as error:
            raise BenchmarkError(f"{shown(command)} can't be started: {error}") from error
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to stop; kill it, and what it has started, when it does not."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        for pid in procfs.tree(process.pid):
            kill(pid)
        process.wait(STOP_S)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def environment(folder: Path) -> dict[str, str]:
    """Our environment without what would change the server under test: its settings, its files, proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("QUEUE_SERVER_") and not name.lower().endswith("_proxy")
    }
    return kept if folder == ROOT else kept | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


def connect(process: subprocess.Popen[bytes], port: int, log: Path) -> Connection:
    """Connect as soon as the process listens; BenchmarkError when it ends before, or takes too long."""
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            return Connection(port)
        except ConnectionRefusedError:
            time.sleep(0.005)
    raise BenchmarkError(f"{shown(process.args)} does not listen; it said:\n{tail(log)}")


def work_of(command: Sequence[str], *, body: bytes = b"", timeout_s: float, **variables: str) -> Work:
    """Run a program to its end, with `body` on stdin; the work it hands in, BenchmarkError when it fails."""
    try:
        return read(output_of(command, body=body, timeout_s=timeout_s, **variables))
    except msgspec.DecodeError as error:
        raise BenchmarkError(f"{shown(command)} handed in nothing that can be read") from error


def output_of(command: Sequence[str], *, body: bytes = b"", timeout_s: float, **variables: str) -> bytes:
    """Run a program to its end, with `body` on stdin; what it prints, BenchmarkError when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(ROOT) | variables,
            input=body,
            capture_output=True,
            timeout=timeout_s,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).decode(errors="replace").strip()
        raise BenchmarkError(f"{shown(command)} failed:\n{said}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{shown(command)} did not end within {timeout_s:.0f} s") from error
    return done.stdout


def shown(command: object) -> str:
    return " ".join(map(str, command) if isinstance(command, list) else [str(command)])[:300]


def tail(log: Path, length: int = 2000) -> str:
    """The end of what a process has said."""
    return log.read_text(errors="replace")[-length:] if log.exists() else ""
