"""The server is as its OpenAPI document says: schemathesis asks what the document allows, and what it doesn't."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, running

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
SEED = 20261124
TOKEN = "the-token-of-the-test"


@pytest.fixture
def quiet_server(tmp_path: Path) -> Iterator[Server]:
    """A server without commands, whose jobs end at once: they are sent where nobody listens.

    It asks for a token from the start: the first one that is made would close it.
    """
    flags = ("--shutdown-grace", "0", "--connect-timeout", "1", "--login-limit", "1000000")
    with running(tmp_path, *flags, environ={"QUEUE_SERVER_ADMIN_TOKEN": TOKEN}) as server:
        yield server


def ask(server: Server, folder: Path, *arguments: str) -> None:
    """Have schemathesis ask the server; AssertionError with all that it found."""
    done = subprocess.run(
        (
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml"), "run"),
            *(f"{server.url}/v1/openapi.json", "--warnings", "off", *arguments),
            *("--header", f"Authorization: Bearer {TOKEN}"),
        ),
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.web.schemathesis_hooks",
            "NO_COLOR": "1",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_asked_in_short_is_answered_as_documented(quiet_server: Server, tmp_path: Path) -> None:
    ask(quiet_server, tmp_path, "--seed", str(SEED), "--max-examples", "3", "--phases", "examples,fuzzing")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_whatever_is_asked_is_answered_as_documented(quiet_server: Server, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"schemathesis --seed {seed}")
    ask(quiet_server, tmp_path, "--seed", str(seed), "--max-examples", "100")
