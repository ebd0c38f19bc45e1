"""How many jobs stand before one that waits."""

import pytest

from queue_server.store.contract import Slots
from tests.builders.jobs import EXEC, HTTP, NOW, SECOND, new_job
from tests.builders.stores import add_one, claim


async def ahead(store, job_id: int, limit: int = 1000) -> int:
    """How many jobs stand before this one."""
    return await store.ahead(await store.get(job_id), limit)


async def test_jobs_of_its_type_that_are_claimed_before_it_stand_before_a_job(store, node):
    jobs = [
        new_job(EXEC if n % 2 else HTTP, priority=(100, 500, 900)[n % 3], delay=-(n % 4) * SECOND) for n in range(60)
    ]
    ids = list(await store.add(jobs))
    before = {job_id: await ahead(store, job_id) for job_id in ids}
    places: dict[type, int] = {}
    while taken := await claim(store, node, Slots(7, 7, 7)):
        for job in taken:
            kind = type(job.plan.command)
            assert before[job.id] == places.get(kind, 0)
            places[kind] = before[job.id] + 1
    assert sorted(places.values()) == [30, 30]


async def test_jobs_that_are_not_due_or_run_already_stand_before_nobody(store, node):
    await store.add([new_job(priority=900), new_job(priority=900, delay=SECOND)])
    await claim(store, node)
    assert await ahead(store, await add_one(store, new_job())) == 0


@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_more_than_the_limit_are_not_counted(store, limit):
    *_, last = await store.add([new_job() for _ in range(8)])
    assert await ahead(store, last, limit) == min(limit, 7)


async def test_job_of_the_highest_priority_that_came_first_has_none_before_it(store):
    first = await add_one(store, new_job(priority=1000, now=NOW - SECOND))
    await store.add([new_job(priority=1000) for _ in range(5)])
    assert await ahead(store, first) == 0
