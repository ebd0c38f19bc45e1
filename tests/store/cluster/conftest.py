"""Stores that several nodes share: tests of what they do to each other."""

from collections.abc import Mapping, Sequence

import pytest

from queue_server.store.contract import Store
from tests.builders.stores import BACKENDS, Backend

SHARED: Sequence[str] = [name for name in BACKENDS if name != "sqlite"]


@pytest.fixture(params=SHARED)
def backend(request, tmp_path) -> Backend:
    """An empty database that many may open."""
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def stores(backend, runner):
    """Two stores on it."""
    opened: Mapping[int, Store] = {number: runner.run(backend.open()) for number in range(2)}
    yield tuple(opened.values())
    for store in opened.values():
        runner.run(store.close())
