"""What is true of the MySQL and MariaDB store only."""

import pytest

from tests.builders.jobs import NOW
from tests.builders.mysql_backend import MysqlBackend


@pytest.fixture
def backend(tmp_path):
    return MysqlBackend(tmp_path)


@pytest.fixture
def store(backend, runner):
    opened = runner.run(backend.open())
    yield opened
    runner.run(opened.close())


@pytest.fixture
def node(store, runner):
    return runner.run(store.register("here", 100, NOW))
