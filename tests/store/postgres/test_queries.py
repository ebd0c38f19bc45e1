"""The file of named queries, and what goes on by itself."""

import asyncio
from importlib.resources import files

import asyncpg
import pytest

from queue_server.domain.state import State
from queue_server.store.postgres import counting
from queue_server.store.postgres.statements import QUERIES
from tests.builders.jobs import NOW, new_job

PARTS = {"deleted", "touched"}
NEEDS_AN_INDEX = {"has_waiting_index", "drop_waiting_index", "make_waiting_index"}


def test_every_query_is_used_by_its_name():
    """A query that nothing runs is dead code."""
    code = "".join(
        path.read_text() for path in files("queue_server.store.postgres").iterdir() if path.name.endswith(".py")
    )
    assert [name for name in QUERIES if f'"{name}"' not in code] == []


@pytest.mark.usefixtures("store")
async def test_postgresql_understands_every_query(backend):
    connection = await asyncpg.connect(backend.url)
    try:
        for name in QUERIES.keys() - PARTS:
            await connection.prepare(QUERIES[name])
    finally:
        await connection.close()


async def test_counts_are_added_up_while_there_is_work(backend, monkeypatch):
    monkeypatch.setattr(counting, "FOLD_S", 0.02)
    store = await backend.open()
    connection = await asyncpg.connect(backend.url)
    try:
        await store.register("here", 100, NOW)
        async with asyncio.timeout(20):
            for _ in range(20):
                await store.add([new_job()])
            while await connection.fetchval("select count(*) from tally") > len(State):
                await store.add([new_job()])
        assert (await store.counts())[State.AVAILABLE] >= 20
    finally:
        await connection.close()
        await store.close()
