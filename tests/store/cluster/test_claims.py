"""Nodes that claim and end jobs of one database at a time."""

import asyncio

from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.state import State
from queue_server.store.contract import Claim, Slots
from tests.builders.jobs import HTTP, NOW, SECOND, decided, new_job
from tests.builders.stores import add_and_claim, claim

CLAIMERS, JOBS = 8, 1000
SEVEN = Slots(total=7, http=7, exec=7)


async def test_of_many_claimers_no_two_take_one_job_and_none_is_left(stores, backend):
    nodes = [await stores[n % 2].register(f"n{n}", 7, NOW) for n in range(CLAIMERS)]
    ids = await stores[0].add([new_job(priority=n % 3, run_at=NOW + n) for n in range(JOBS)])
    taken = await asyncio.gather(*(_claim_all(stores[n % 2], node) for n, node in enumerate(nodes)))
    assert sorted(job.id for jobs in taken for job in jobs) == sorted(ids)
    for jobs in taken:
        order = [(-job.priority, job.due_at, job.id) for job in jobs]
        assert order == sorted(order), "each takes what comes first, and then what comes after it"
    assert (await stores[1].counts())[State.RUNNING] == JOBS
    assert await stores[1].counts() == backend.recount()


async def test_due_jobs_are_promoted_once_by_nodes_that_race(stores, backend):
    nodes = [await store.register("n", 9, NOW) for store in stores]
    await stores[0].add([new_job(delay=SECOND) for _ in range(300)])
    claims = [Claim(node.id, SEVEN, NOW + SECOND) for node in nodes for _ in range(10)]
    turns = await asyncio.gather(*(stores[n // 10].turn((), wish) for n, wish in enumerate(claims)))
    taken = [job.id for turn in turns for job in turn.claimed.jobs]
    assert len(taken) == len(set(taken)) > 0
    assert await stores[0].counts() == backend.recount()


async def test_end_is_written_once_of_two_that_come_at_once(stores, backend):
    node = await stores[0].register("n", 9, NOW)
    for _ in range(10):
        job = await add_and_claim(stores[0], node, new_job(callback_done=HTTP))
        turns = await asyncio.gather(*(store.turn([decided(job)], None) for store in stores))
        assert sorted(turn.applied[0] for turn in turns) == [False, True]
        assert sorted(len(turn.callbacks) for turn in turns) == [0, 1]
        assert len(await stores[0].attempts(job.id)) == 1
        (callback,) = await claim(stores[1], node)
        await stores[1].turn([decided(callback)], None)
    assert await stores[0].counts() == backend.recount()


async def test_end_of_an_earlier_claim_is_stale_on_every_node(stores):
    node = await stores[0].register("n", 9, NOW)
    job = await add_and_claim(stores[0], node, new_job())
    await stores[1].turn([decided(job, OutcomeKind.LEASE_EXPIRED)], None)
    (again,) = await claim(stores[1], node)
    assert list((await stores[0].turn([decided(job)], None)).applied) == [False]
    assert list((await stores[0].turn([decided(again)], None)).applied) == [True]


async def test_ends_of_the_same_jobs_in_any_order_do_not_stop_each_other(stores, backend):
    """Whoever is undone for a deadlock tries again."""
    node = await stores[0].register("n", 99, NOW)
    await stores[0].add([new_job() for _ in range(60)])
    jobs = list(await claim(stores[0], node))
    works = [stores[n % 2].turn([decided(job) for job in jobs[n:] + jobs[:n]], None) for n in range(12)]
    turns = await asyncio.gather(*works)
    assert sum(sum(turn.applied) for turn in turns) == len(jobs)
    assert await stores[0].counts() == backend.recount()


async def _claim_all(store, node):
    taken = []
    while (jobs := await claim(store, node, SEVEN, now=NOW + JOBS)) or await _some_wait(store):
        taken += jobs
    return taken


async def _some_wait(store) -> bool:
    """Others may hold what is left locked for a moment."""
    return (await store.counts())[State.AVAILABLE] > 0
