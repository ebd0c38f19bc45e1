"""Connections are shared fairly, and no more of them are used than the address says."""

import asyncio

import pytest

from queue_server.domain.errors import StoreUnavailable
from queue_server.store.asking import asker
from queue_server.store.postgres import pool as pool_module
from queue_server.store.postgres.address import parse_address
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import READING


@pytest.fixture
def pool(backend, runner):
    """A pool of two connections."""
    one = Pool(parse_address(backend.url), READING, 2)
    yield one
    runner.run(one.close())


async def test_askers_take_turns_and_no_more_work_at_once_than_there_are_connections(pool):
    done, at_once, most = [], 0, 0

    async def work(session) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await session.script("select 1")
        at_once -= 1
        done.append(asker.get())

    async def ask(name: str) -> None:
        asker.set(name)
        await pool.do(work)

    await asyncio.gather(*(ask("many") for _ in range(30)), ask("one"))
    assert most == 2
    assert done.index("one") < 6


async def test_query_that_takes_too_long_is_told_so(pool):
    with pytest.raises(StoreUnavailable, match="took longer than 5 s; narrow it down"):
        await pool.do(lambda session: session.script("set statement_timeout = '20ms'; select pg_sleep(5)"))
    assert await pool.do(lambda session: session.value("told_at")) > 0


async def test_who_waits_too_long_for_a_connection_is_told_so(pool, monkeypatch):
    release, held = asyncio.Event(), asyncio.Barrier(3)

    async def hold(_session) -> None:
        await held.wait()
        await release.wait()

    holding = [asyncio.ensure_future(pool.do(hold)) for _ in range(2)]
    await held.wait()
    monkeypatch.setattr(pool_module, "PATIENCE_S", 0.05)
    with pytest.raises(StoreUnavailable, match="can't keep up"):
        await pool.do(lambda session: session.script("select 1"))
    monkeypatch.undo()
    release.set()
    await asyncio.gather(*holding)
    await pool.do(lambda session: session.script("select 1"))


async def test_too_many_who_wait_are_refused_at_once(pool, monkeypatch):
    monkeypatch.setattr(pool_module, "WAITING_LIMIT", 3)
    asked = [pool.do(lambda session: session.script("select 1")) for _ in range(9)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(result, StoreUnavailable) for result in results] == [False] * 5 + [True] * 4
