"""The suite runs once for each kind of store."""

import pytest

from tests.builders.jobs import NOW
from tests.builders.stores import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request, tmp_path):
    """An empty database."""
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def store(backend, runner):
    """An open store on it."""

    opened = runner.run(backend.open())
    yield opened
    runner.run(opened.close())


@pytest.fixture
def node(store, runner):
    """A node that is registered with the store."""
    return runner.run(store.register("here", 100, NOW))
