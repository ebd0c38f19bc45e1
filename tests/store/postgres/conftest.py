"""The PostgreSQL store: what is its own. The rest is the conformance suite's."""

import pytest

from tests.builders.jobs import NOW
from tests.builders.postgres_backend import PostgresBackend
from tests.support.databases import database, postgres_server


@pytest.fixture
def backend(tmp_path):
    """An empty database with the schema."""
    return PostgresBackend(tmp_path)


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


@pytest.fixture
def url():
    """A database of the test's own, without a schema."""
    with database(postgres_server()) as one:
        yield one
