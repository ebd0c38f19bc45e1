"""Connections that are lost, and nodes that are taken for dead."""

import asyncio
import contextlib

from queue_server.domain.errors import StoreUnavailable
from tests.builders.jobs import NOW, decided, new_job
from tests.builders.stores import add_and_claim
from tests.support.databases import run_sql


async def test_every_acknowledged_job_is_there_after_connections_were_killed(backend, store):
    acknowledged: list[int] = []
    stop = asyncio.Event()

    async def add() -> None:
        while not stop.is_set():
            with contextlib.suppress(StoreUnavailable):
                acknowledged.extend(await store.add([new_job(), new_job()]))

    adders = [asyncio.ensure_future(add()) for _ in range(8)]
    for round_ in range(1, 6):
        while len(acknowledged) < 200 * round_:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(_kill_connections, backend)
    stop.set()
    await asyncio.gather(*adders)
    there = {row[0] for row in run_sql(backend.url, "select id from job")}
    assert set(acknowledged) <= there
    assert len(set(acknowledged)) == len(acknowledged)
    assert await store.counts() == backend.recount()


async def test_node_that_somebody_took_for_dead_comes_back_with_its_id(backend, store, node):
    beat = store.heartbeat(node.id).beat
    await asyncio.to_thread(beat, NOW + 1)
    run_sql(backend.url, "delete from node")
    await asyncio.to_thread(beat, NOW + 2)
    assert run_sql(backend.url, "select id, name, slots, beat_at from node")[0] == (node.id, "here", 100, NOW + 2)


async def test_dead_node_is_kept_while_its_jobs_are_not_rescued(backend, store):
    """NOW is long ago for the database's clock."""
    node = await store.register("dead", 9, NOW)
    job = await add_and_claim(store, node, new_job())
    await store._upkeep.tidy()
    assert len(run_sql(backend.url, "select id from node")) == 1
    await store.turn([decided(job)], None)
    await store._upkeep.tidy()
    assert len(run_sql(backend.url, "select id from node")) == 0


def _kill_connections(backend) -> None:
    name = backend.url.rpartition("/")[2]
    query = f"select id from information_schema.processlist where db = '{name}' and id <> connection_id()"
    for (id_,) in run_sql(backend.url, query):
        with contextlib.suppress(Exception):
            run_sql(backend.url, f"kill {id_}")
