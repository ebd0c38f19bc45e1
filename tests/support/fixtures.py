"""Fixtures for tests on the running server; a folder's conftest.py takes what it needs."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, assert_log_is_well, running
from tests.support.target import Target, running_target

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """A target that the module's tests share; `path` keeps them apart."""
    with running_target() as target:
        yield target


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with commands on, which the module's tests share."""
    flags = ("--exec", "any", "--shutdown-grace", "0", "--connect-timeout", "2")
    with running(tmp_path_factory.mktemp("server"), *flags) as server:
        yield server


@pytest.fixture
def path() -> str:
    """A path that no other test uses."""
    return f"/t{next(_numbers)}"


Starter = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Starter]:
    """Makes servers of the test's own (not started yet); each has its folder, all are ended with the test."""
    made: list[Server] = []

    def make(*flags: str, folder: Path | None = None, **settings: object) -> Server:
        home = folder or tmp_path / f"server{len(made)}"
        home.mkdir(exist_ok=True)
        made.append(Server(home, *flags, **settings))
        return made[-1]

    yield make
    for server in made:
        if server.process is not None and server.process.poll() is None:
            server.kill()
    for server in made:
        assert_log_is_well(server)
