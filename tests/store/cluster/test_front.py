"""Claims begin behind the last one, and yet find what belongs before it."""

from queue_server.store.contract import Slots
from tests.builders.jobs import NOW, SECOND, new_job
from tests.builders.stores import claim, opened

ONE = Slots(total=1, http=1, exec=1)


async def test_nothing_of_another_node_is_overlooked(backend):
    async with opened(backend) as one, opened(backend) as other:
        node = await one.register("one", 10, NOW)
        await one.add([new_job(priority=400)])
        assert len(await claim(one, node)) == 1
        (urgent,) = await other.add([new_job(priority=900)])
        assert [job.id for job in await claim(one, node)] == [urgent]


async def test_urgent_job_of_the_node_itself_comes_first(backend):
    async with opened(backend) as store:
        node = await store.register("one", 10, NOW)
        ids = await store.add([new_job(priority=400) for _ in range(3)])
        assert [job.id for job in await claim(store, node, slots=ONE)] == [ids[0]]
        (urgent,) = await store.add([new_job(priority=900)])
        assert [job.id for job in await claim(store, node)] == [urgent, *ids[1:]]


async def test_urgent_job_that_becomes_due_comes_first(backend):
    async with opened(backend) as store:
        node = await store.register("one", 10, NOW)
        ids = await store.add([new_job(priority=400) for _ in range(3)])
        (urgent,) = await store.add([new_job(priority=900, delay=SECOND)])
        assert [job.id for job in await claim(store, node, slots=ONE)] == [ids[0]]
        assert [job.id for job in await claim(store, node, now=NOW + SECOND)] == [urgent, *ids[1:]]


async def test_claims_go_on_in_order_through_ranks_and_times(backend):
    async with opened(backend) as store:
        node = await store.register("one", 10, NOW)
        added = [new_job(priority=priority, run_at=NOW - age) for priority in (900, 400) for age in (2, 1, 1)]
        ids = await store.add(added)
        taken = [job.id for _ in ids for job in await claim(store, node, slots=ONE)]
        assert taken == list(ids)
