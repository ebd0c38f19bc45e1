"""Starts the real server as a process, for tests that need what only it does."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.running import CommandLine

ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


@contextmanager
def running_server(folder: Path, port: int = 0) -> Iterator[CommandLine]:
    """The command line, talking to a server of its own, by default on a free port."""
    with (folder / "log").open("ab") as log:
        process = CommandLine(folder).start(
            *("serve", "--port", str(port), "--exec", "any", "--shutdown-grace", "0"),
            *("--db", f"sqlite:///{folder}/jobs.db"),
        )
        try:
            yield CommandLine(folder, _address(process))
        finally:
            process.terminate()
            _, rest = process.communicate(timeout=20)
            log.write(rest)


def _address(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr
    for line in process.stderr:
        if found := ADDRESS.search(line):
            return found[0].decode()
    raise AssertionError(f"the server ended with {process.wait()}")
