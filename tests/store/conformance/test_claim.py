import asyncio
import random

import pytest

from queue_server.domain.outcome import SUCCEEDED
from queue_server.domain.state import State
from queue_server.store.contract import Claim, Slots
from tests.builders.jobs import DAY, EXEC, HTTP, NOW, SECOND, decided, new_job
from tests.builders.stores import ALL_SLOTS, add_one, claim, claim_all
from tests.builders.strategies import shell


async def test_claimed_job_runs_on_the_node(store, node):
    job_id = await add_one(store, new_job(priority=700, context="app"))
    (job,) = await claim(store, node, now=NOW + 5)
    assert (job.id, job.state, job.claim_seq, job.attempt, job.refunded, job.losses) == (
        job_id,
        State.RUNNING,
        1,
        1,
        0,
        0,
    )
    assert (job.node_id, job.claimed_at, job.created_at) == (node.id, NOW + 5, NOW)
    assert (job.priority, job.context, job.plan.command) == (700, "app", HTTP)
    record = await store.get(job_id)
    assert (record.state, record.node_id, record.claimed_at) == (State.RUNNING, node.id, NOW + 5)
    assert (record.claim_seq, record.attempt) == (1, 1)


async def test_order_is_priority_then_run_at_then_id(store, node):
    chance = random.Random(5)
    jobs = [
        new_job(
            chance.choice([HTTP, EXEC]),
            priority=chance.choice([0, 1, 500, 999, 1000]),
            delay=-chance.choice([0, 1, 2, SECOND, DAY]),
        )
        for _ in range(300)
    ]
    ids = await store.add(jobs)
    expected = sorted(zip(jobs, ids, strict=True), key=lambda pair: (-pair[0].priority, pair[0].run_at, pair[1]))
    taken = []
    for size in [1, 2, 7] * 30:
        taken += [job.id for job in await claim(store, node, Slots(size, 1000, 1000))]
    assert taken == [job_id for _, job_id in expected]


async def test_jobs_that_have_just_become_due_are_in_the_order_too(store, node):
    late = await add_one(store, new_job(priority=900, delay=SECOND))
    early = await add_one(store, new_job(priority=900))
    low = await add_one(store, new_job(priority=100))
    jobs = await claim(store, node, now=NOW + SECOND)
    assert [job.id for job in jobs] == [early, late, low]


@pytest.mark.parametrize(
    ("slots", "http", "exec_"),
    [
        (Slots(total=10, http=10, exec=3), 7, 3),
        (Slots(total=10, http=2, exec=8), 2, 8),
        (Slots(total=4, http=10, exec=10), 0, 4),
        (Slots(total=10, http=10, exec=0), 10, 0),
        (Slots(total=10, http=0, exec=10), 0, 10),
        (Slots(total=0, http=10, exec=10), 0, 0),
        (Slots(total=10, http=0, exec=0), 0, 0),
        (Slots(total=1, http=1, exec=0), 1, 0),
    ],
    ids=str,
)
async def test_no_more_of_a_type_are_taken_than_there_are_slots(store, node, slots, http, exec_):
    """The exec jobs come first, so only their slots keep them back."""
    await store.add([new_job(EXEC, priority=900) for _ in range(20)] + [new_job() for _ in range(20)])
    jobs = await claim(store, node, slots)
    types = [type(job.plan.command) for job in jobs]
    assert (types.count(type(HTTP)), types.count(type(EXEC))) == (http, exec_)


async def test_job_that_is_not_due_is_left(store, node):
    await add_one(store, new_job(delay=10 * SECOND))
    assert await claim(store, node, now=NOW + 10 * SECOND - 1) == ()
    assert len(await claim(store, node, now=NOW + 10 * SECOND)) == 1


@pytest.mark.parametrize("reopen", [False, True])
async def test_next_due_is_the_earliest_scheduled_job(backend, reopen):
    store = await backend.open()
    try:
        await store.add([new_job(delay=7 * SECOND), new_job(delay=5 * SECOND), new_job()])
        if reopen:
            await store.close()
            store = await backend.open()
        node = await store.register("here", 1, NOW)
        turns = [
            await store.turn((), Claim(node.id, ALL_SLOTS, now))
            for now in (NOW, NOW + 1, NOW + 5 * SECOND, NOW + 7 * SECOND)
        ]
        assert [turn.claimed.next_due for turn in turns] == [NOW + 5 * SECOND, NOW + 5 * SECOND, NOW + 7 * SECOND, None]
    finally:
        await store.close()


async def test_due_jobs_are_taken_in_the_end_however_many_there_are(store, node, backend):
    await store.add([new_job(delay=SECOND + n) for n in range(2500)])
    jobs = await claim_all(store, node, now=NOW + 2 * SECOND)
    assert len({job.id for job in jobs}) == 2500
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0) | {State.RUNNING: 2500}


async def test_claim_takes_at_least_one_job_of_any_size(store, node):
    await store.add([new_job(shell("cat", stdin="x" * 9_000_000)) for _ in range(3)])
    assert len(await claim(store, node, Slots(3, 3, 3))) >= 1
    assert len(await claim_all(store, node)) >= 1
    assert (await store.counts())[State.AVAILABLE] == 0


@pytest.mark.parametrize("slots", [1, 7, 100])
async def test_no_job_is_taken_twice_or_lost_by_concurrent_claims(store, node, slots):
    ids = []
    for _ in range(10):
        ids += await store.add([new_job(EXEC if n % 3 else HTTP, priority=n % 5) for n in range(100)])
    taken: list[int] = []

    async def work() -> None:
        wish = Claim(node.id, Slots(slots, slots, slots), NOW)
        ended = []
        while jobs := (await store.turn(ended, wish)).claimed.jobs:
            taken.extend(job.id for job in jobs)
            ended = [decided(job, SUCCEEDED) for job in jobs]

    await asyncio.gather(*(work() for _ in range(8)))
    assert sorted(taken) == ids
    assert (await store.counts())[State.COMPLETED] == 1000


async def test_claims_and_adds_at_the_same_time_lose_nothing(store, node):
    added: list[int] = []
    taken: list[int] = []
    done = asyncio.Event()

    async def produce() -> None:
        for _ in range(50):
            added.extend(await store.add([new_job()]))

    async def consume() -> None:
        while True:
            is_last = done.is_set()
            jobs = await claim(store, node, Slots(5, 5, 5))
            taken.extend(job.id for job in jobs)
            if is_last and not jobs:
                return

    async def all_producers() -> None:
        await asyncio.gather(*(produce() for _ in range(4)))
        done.set()

    await asyncio.gather(all_producers(), *(consume() for _ in range(4)))
    assert sorted(taken) == sorted(added)
    assert len(set(taken)) == len(taken) == 200
