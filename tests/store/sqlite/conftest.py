import pytest

from tests.builders.disks import FaultyDisk
from tests.builders.jobs import NOW
from tests.builders.stores import SqliteBackend


@pytest.fixture
def backend(tmp_path):
    return SqliteBackend(tmp_path)


@pytest.fixture
def path(backend):
    """The database's file."""
    return backend.path


@pytest.fixture
def disk():
    """Must stand before `store` among a test's fixtures: only files that are opened later are on it."""
    with FaultyDisk.mounted() as one:
        yield one


@pytest.fixture
def store(backend, runner):
    async def open_() -> object:
        return await backend.open()

    opened = runner.run(open_())
    yield opened
    runner.run(opened.close())


@pytest.fixture
def node(store, runner):
    return runner.run(store.register("here", 100, NOW))
