"""Nodes that add jobs to one database at a time."""

import asyncio

import pytest

from queue_server.domain.errors import KeyMismatch
from queue_server.domain.state import State
from tests.builders.jobs import NOW, new_job, once


async def test_ids_of_nodes_that_add_at_once_are_all_different_and_in_the_order_of_their_add(stores, backend):
    sizes = [1, 2, 3, 50, 130, 300]
    adds = [stores[n % 2].add([new_job(context=f"{n}-{k}") for k in range(sizes[n % 6])]) for n in range(60)]
    results = await asyncio.gather(*adds)
    ids = [job_id for result in results for job_id in result]
    assert len(set(ids)) == len(ids) == backend.recount()[State.AVAILABLE]
    for n, result in enumerate(results):
        assert list(result) == sorted(result)
        for k in (0, len(result) - 1):
            assert (await stores[0].get(result[k])).context == f"{n}-{k}"
    assert await stores[1].counts() == backend.recount()


async def test_key_that_two_nodes_get_at_once_makes_one_job(stores, backend):
    for n in range(20):
        jobs = [[new_job(once=once(f"k{n}"))] for _ in range(4)]
        added = await asyncio.gather(*(stores[place % 2].add_once(batch) for place, batch in enumerate(jobs)))
        assert len({one.ids[0] for one in added}) == 1
        assert sorted(len(one.replayed) for one in added) == [0, 1, 1, 1]
    assert backend.recount()[State.AVAILABLE] == 20 == backend.keys()


async def test_keys_of_batches_in_opposite_orders_do_not_stop_each_other(stores, backend):
    keys = [f"k{n}" for n in range(30)]
    batches = [[new_job(once=once(key)) for key in (keys, keys[::-1])[n % 2]] for n in range(8)]
    added = await asyncio.gather(*(stores[n % 2].add_once(batch) for n, batch in enumerate(batches)))
    assert sum(len(keys) - len(one.replayed) for one in added) == len(keys) == backend.keys()
    assert backend.recount()[State.AVAILABLE] == len(keys)


async def test_key_with_another_job_is_refused_on_every_node(stores):
    await stores[0].add_once([new_job(once=once("k"))])
    with pytest.raises(KeyMismatch):
        await stores[1].add_once([new_job(once=once("k", b"that"))])


async def test_arrivals_are_told_to_other_nodes(stores):
    heard = asyncio.Event()
    stores[1].on_arrival(lambda _run_at: heard.set())
    await stores[1].register("b", 1, NOW)
    await stores[0].add([new_job()])
    await asyncio.wait_for(heard.wait(), 10)
