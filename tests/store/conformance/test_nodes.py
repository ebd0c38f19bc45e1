import asyncio

import msgspec

from queue_server.domain.job import Job
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.state import State
from tests.builders.jobs import NOW, SECOND, decided, new_job
from tests.builders.stores import add_and_claim, claim, opened

LEASE = 15 * SECOND


async def test_registered_node_is_told_its_id(store):
    node = await store.register("here", 20, NOW)
    assert (node.name, node.slots, node.started_at) == ("here", 20, NOW)
    assert await store.total_slots(NOW, LEASE) >= 20


async def test_every_start_is_a_new_node(backend):
    ids = []
    for _ in range(3):
        async with opened(backend) as store:
            ids.append((await store.register("here", 1, NOW)).id)
    assert len(set(ids)) == 3


async def test_slots_of_a_node_that_stopped_are_gone(store, node):
    before = await store.total_slots(NOW, LEASE)
    await store.deregister(node.id)
    assert await store.total_slots(NOW, LEASE) == before - node.slots


async def test_jobs_of_a_living_node_are_not_expired(store, node):
    await add_and_claim(store, node, new_job())
    await asyncio.to_thread(store.heartbeat(node.id).beat, NOW + LEASE)
    assert list(await store.expired(NOW + LEASE + 1, LEASE, 10)) == []


async def test_jobs_of_a_deregistered_node_are_expired(store, node):
    job = await add_and_claim(store, node, new_job())
    await store.deregister(node.id)
    (lost,) = await store.expired(NOW, LEASE, 10)
    assert _is_same(lost, job)


async def test_running_jobs_that_their_node_does_not_know_of_are_strays(store, backend, node):
    known, *unknown = [await add_and_claim(store, node, new_job()) for _ in range(3)]
    other = await add_and_claim(store, await store.register("there", 1, NOW), new_job())
    found = await store.strays(node.id, {known.id, other.id}, 10)
    if not backend.is_shared:
        assert list(found) == []
        return
    assert len(found) == 2
    assert all(_is_same(stray, job) for stray, job in zip(found, unknown, strict=True))
    assert [job.id for job in await store.strays(node.id, (), 1)] == [known.id]


async def test_jobs_of_an_earlier_run_are_rescued_after_reopening(backend):
    async with opened(backend) as store:
        node = await store.register("here", 1, NOW)
        jobs = [await add_and_claim(store, node, new_job(context=str(n))) for n in range(5)]
    async with opened(backend) as store:
        node = await store.register("here", 1, NOW + LEASE)
        pages = []
        while page := await store.expired(NOW + 2 * LEASE, LEASE, 2):
            pages.append(len(page))
            assert all(any(_is_same(lost, job) for job in jobs) for lost in page)
            turn = await store.turn([decided(lost, OutcomeKind.LEASE_EXPIRED) for lost in page], None)
            assert all(turn.applied)
        assert pages == [2, 2, 1]
        again = await claim(store, node)
        assert [(job.id, job.claim_seq, job.losses, job.refunded) for job in again] == [(j.id, 2, 1, 1) for j in jobs]
        assert await store.counts() == backend.recount()


async def test_job_that_kills_its_node_three_times_ends_and_blocks_no_other(backend):
    async with opened(backend) as store:
        killer, other = await store.add([new_job(context="killer"), new_job(context="other")])
    for run in range(3):
        now = NOW + 2 * run * LEASE
        async with opened(backend) as store:
            node = await store.register("here", 1, now)
            lost = await store.expired(now, LEASE, 10)
            await store.turn([decided(job, OutcomeKind.LEASE_EXPIRED) for job in lost], None)
            jobs = await claim(store, node)
            await store.turn([decided(job) for job in jobs if job.id == other], None)
    async with opened(backend) as store:
        await store.register("here", 1, NOW + 6 * LEASE)
        (lost,) = await store.expired(NOW + 6 * LEASE, LEASE, 10)
        await store.turn([decided(lost, OutcomeKind.LEASE_EXPIRED)], None)
        record = await store.get(killer)
        assert (record.state, record.reason) == (State.FAILED, "its node died three times while it ran")
        assert len(await store.attempts(killer)) == 3
        assert (await store.get(other)).state is State.COMPLETED


async def test_lost_job_whose_plan_cannot_be_read_is_rescued_like_any_other(backend):
    async with opened(backend) as store:
        node = await store.register("here", 1, NOW)
        await add_and_claim(store, node, new_job(payload=b"\xff\0"))
    async with opened(backend) as store:
        await store.register("here", 1, NOW + 2 * LEASE)
        (lost,) = await store.expired(NOW + 2 * LEASE, LEASE, 10)
        assert type(lost.plan.command).__name__ == "Unreadable"
        assert (await store.turn([decided(lost, OutcomeKind.LEASE_EXPIRED)], None)).applied[0]


async def test_stale_rescue_does_not_touch_a_job_that_runs_again(store, node):
    job = await add_and_claim(store, node, new_job())
    await store.turn([decided(job, OutcomeKind.INTERRUPTED)], None)
    (again,) = await claim(store, node)
    assert list((await store.turn([decided(job, OutcomeKind.LEASE_EXPIRED)], None)).applied) == [False]
    assert (await store.get(job.id)).claim_seq == again.claim_seq
    assert (await store.get(job.id)).state is State.RUNNING


def _is_same(one: Job, other: Job) -> bool:
    """Whether they agree in all but the hint about placeholders, which may always be true."""
    return one == msgspec.structs.replace(other, may_have_placeholders=one.may_have_placeholders)
