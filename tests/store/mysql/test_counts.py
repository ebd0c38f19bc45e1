"""Counts that several nodes add up at a time."""

import asyncio

from queue_server.domain.state import State
from tests.builders.jobs import new_job
from tests.builders.stores import opened
from tests.support.databases import run_sql


async def test_counts_are_right_while_nodes_add_them_up(backend, store, node):
    async with opened(backend) as other:

        async def work(one) -> None:
            for _ in range(20):
                await one.add([new_job()])
                await one._upkeep.tidy()

        await asyncio.gather(work(store), work(other), work(store))
        assert await other.counts() == backend.recount()
    assert (await store.counts())[State.AVAILABLE] == 60
    await store._upkeep.tidy()
    assert run_sql(backend.url, "select count(*) from tally")[0][0] <= 6
