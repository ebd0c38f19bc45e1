"""Every test may be a coroutine function, on a loop that its store is opened in."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_server.clock import SystemClock
from queue_server.store.sqlite.store import SqliteStore
from tests.builders.asynchronous import pytest_pyfunc_call, runner

__all__ = ["pytest_pyfunc_call", "runner"]


@pytest.fixture
def store(tmp_path: Path, runner: asyncio.Runner) -> Iterator[SqliteStore]:
    """An open store on an empty database."""

    async def open_() -> SqliteStore:
        return SqliteStore(tmp_path / "q.db", SystemClock(), asyncio.get_running_loop())

    opened = runner.run(open_())
    yield opened
    runner.run(opened.close())
