"""Rows that other connections hold, and transactions that are in each other's way."""

import asyncio

import asyncpg

from queue_server.domain.outcome import SUCCEEDED
from queue_server.domain.state import FINAL_STATES
from queue_server.store.postgres.address import parse_address
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import WRITING
from tests.builders.jobs import NOW, SECOND, decided, new_job
from tests.builders.stores import add_and_claim, claim_all


async def test_claims_and_promotions_pass_over_jobs_that_another_connection_holds(store, node, backend):
    ids = list(await store.add([new_job(delay=n % 2 * SECOND) for n in range(10)]))
    other = await asyncpg.connect(backend.url)
    try:
        async with other.transaction():
            await other.execute("select 1 from job where id = any($1) for update", ids[:4])
            taken = await claim_all(store, node, now=NOW + SECOND)
            assert sorted(job.id for job in taken) == ids[4:]
        taken = await claim_all(store, node, now=NOW + SECOND)
        assert sorted(job.id for job in taken) == ids[:4]
    finally:
        await other.close()


async def test_purge_leaves_what_another_connection_holds_for_later(store, node, backend):
    jobs = [await add_and_claim(store, node, new_job()) for _ in range(4)]
    await store.turn([decided(job, SUCCEEDED) for job in jobs], None)
    before = dict.fromkeys(FINAL_STATES, NOW + 1)
    other = await asyncpg.connect(backend.url)
    try:
        async with other.transaction():
            await other.execute("select 1 from job where id = $1 for update", jobs[0].id)
            assert await store.purge(before, NOW, 100) == 3
        assert await store.purge(before, NOW, 100) == 1
    finally:
        await other.close()
    assert await store.counts() == backend.recount()


async def test_transaction_that_is_undone_for_a_deadlock_is_tried_again(store, backend):
    ids = list(await store.add([new_job(), new_job()]))
    pool = Pool(parse_address(backend.url), WRITING, 2)
    both = asyncio.Barrier(2)
    tries = 0

    async def lock(session, order) -> None:
        nonlocal tries
        tries += 1
        await session.rows("lock_jobs", order[:1])
        if tries <= 2:
            await both.wait()
        await session.rows("lock_jobs", order[1:])

    orders = (ids, ids[::-1])
    await asyncio.gather(*(pool.transact(lambda session, order=order: lock(session, order)) for order in orders))
    assert tries == 3
    await pool.close()
