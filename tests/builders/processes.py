"""Programs of the tests, in processes of their own, so that they can be killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def started(program: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """The running program; killed at the end if it still runs. Its stdin and stdout are pipes."""
    command = [sys.executable, str(program), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()
