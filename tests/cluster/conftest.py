"""Nodes of one database, each a server process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import Nodes, nodes_on
from tests.support import databases
from tests.support.fixtures import path, target

__all__ = ["path", "target"]

SERVERS = {"postgres": databases.postgres_server, "mysql": databases.mysql_server}


@pytest.fixture(scope="module", params=SERVERS)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the module's own, on each kind of server."""
    with databases.database(SERVERS[request.param]()) as url:
        yield url


@pytest.fixture(scope="module")
def nodes(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes that the module's tests share."""
    with nodes_on(database, tmp_path_factory.mktemp("nodes"), 2) as nodes:
        yield nodes


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A database of the test's own."""
    with databases.database(databases.postgres_server()) as url:
        yield url


@pytest.fixture
def start_nodes(tmp_path: Path, postgres_url: str) -> Iterator[Callable[..., Nodes]]:
    """Starts nodes of the test's own."""
    started: list[Nodes] = []

    def start(count: int, *flags: str) -> Nodes:
        started.append(Nodes(postgres_url, tmp_path, count, flags))
        return started[-1]

    yield start
    for nodes in started:
        nodes.end()
