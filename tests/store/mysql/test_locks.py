"""Rows that somebody else has locked."""

import asyncio

from tests.builders.jobs import decided, new_job
from tests.builders.stores import add_and_claim, claim


async def test_claims_go_on_beside_rows_that_somebody_else_has_locked(backend, store, node):
    ids = list(await store.add([new_job() for _ in range(10)]))
    async with backend.connection() as other:
        await other.rows(f"select id from job where id in ({ids[0]}, {ids[4]}) for update")
        jobs = await asyncio.wait_for(claim(store, node), 2)
        assert [job.id for job in jobs] == [job_id for job_id in ids if job_id not in (ids[0], ids[4])]
        await other.rollback()
    assert [job.id for job in await claim(store, node)] == [ids[0], ids[4]]


async def test_turn_that_is_undone_for_a_deadlock_is_done_again(backend, store, node):
    first = await add_and_claim(store, node, new_job())
    second = await add_and_claim(store, node, new_job())
    async with backend.connection() as other:
        # it has changed much, so that the turn, which has changed nothing yet, is the one that is undone
        await other.run(
            "insert into message (node_id, number, sent_at, body) values "
            + ", ".join(f"(0, {n}, 0, '')" for n in range(200))
        )
        await other.rows(f"select id from job where id = {second.id} for update")
        turn = asyncio.ensure_future(store.turn([decided(first), decided(second)], None))
        await _waits_for_a_lock(backend)
        await other.rows(f"select id from job where id = {first.id} for update")
        await other.rollback()
    assert list((await turn).applied) == [True, True]
    assert await store.counts() == backend.recount()


async def _waits_for_a_lock(backend) -> None:
    query = "select count(*) from information_schema.innodb_trx where trx_state = 'LOCK WAIT'"
    async with backend.connection() as watcher:
        while not (await watcher.rows(query))[0][0]:
            await watcher.rollback()
            await asyncio.sleep(0.01)
