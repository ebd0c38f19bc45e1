import asyncio

import pytest

from queue_server.domain.errors import StoreUnavailable
from queue_server.domain.job import decode_plan
from queue_server.domain.lifecycle import first_state
from queue_server.domain.state import State
from queue_server.store.contract import JobQuery, JobRecord
from tests.builders.jobs import DAY, EXEC, HTTP, NOW, SECOND, decided, new_job, plan
from tests.builders.stores import add_and_claim, add_one, all_jobs, claim_all, opened
from tests.builders.strategies import shell


async def test_ids_grow_in_the_order_of_the_jobs(store):
    first = await store.add([new_job(context=str(place)) for place in range(5)])
    second = await store.add([new_job()])
    ids = [*first, *second]
    assert ids == sorted(set(ids))
    assert [(await store.get(job_id)).context for job_id in first] == ["0", "1", "2", "3", "4"]


async def test_ids_grow_for_concurrent_adds(store):
    batches = await asyncio.gather(*(store.add([new_job(context=str(n))] * (n % 3 + 1)) for n in range(100)))
    assert [len(ids) for ids in batches] == [n % 3 + 1 for n in range(100)]
    all_ids = [job_id for ids in batches for job_id in ids]
    assert len(set(all_ids)) == len(all_ids)
    for n, ids in enumerate(batches):
        assert list(ids) == list(range(ids[0], ids[0] + len(ids)))
        assert (await store.get(ids[-1])).context == str(n)


async def test_no_jobs_have_no_ids(store):
    assert list(await store.add([])) == []


async def test_job_is_stored_as_it_was_added(store):
    job_id = await add_one(
        store,
        new_job(
            EXEC,
            delay=SECOND,
            priority=800,
            context="Äpp",
            callback_done=HTTP,
            parent_id=7,
            queue="mails",
            key="tenant 7",
            overdue_at=NOW + DAY,
            tags={"a": "1", "b": "ü"},
        ),
    )
    assert await store.get(job_id) == JobRecord(
        id=job_id,
        state=State.SCHEDULED,
        priority=800,
        run_at=NOW + SECOND,
        context="Äpp",
        attempt=0,
        claim_seq=0,
        node_id=None,
        created_at=NOW,
        claimed_at=None,
        ended_at=None,
        reason="",
        parent_id=7,
        plan=plan(EXEC, callback_done=HTTP, tags={"a": "1", "b": "ü"}),
        queue="mails",
        key="tenant 7",
        overdue_at=NOW + DAY,
    )


async def test_batch_with_an_impossible_job_is_not_added_at_all(store):
    before = await add_one(store, new_job())
    bad = new_job(context="\ud800")
    with pytest.raises(Exception, match="can't be stored"):
        await store.add([new_job(), bad, new_job()])
    assert (await store.counts())[State.AVAILABLE] == 1
    assert [record.id for record in await all_jobs(store)] == [before]


async def test_impossible_job_fails_alone_among_concurrent_adds(store):
    bad = new_job(context="\ud800")
    results = await asyncio.gather(
        *(store.add([bad if n == 5 else new_job()]) for n in range(20)), return_exceptions=True
    )
    failed = [n for n, result in enumerate(results) if isinstance(result, Exception)]
    assert failed == [5]
    assert (await store.counts())[State.AVAILABLE] == 19


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 1024 * 1024])
async def test_payload_of_any_size_comes_back(store, node, size):
    command = shell("cat", stdin=("é'\"\\\n\0" * size)[:size])
    claimed = await add_and_claim(store, node, new_job(command))
    assert claimed.plan.command == command
    assert (await store.get(claimed.id)).plan.command == command


@pytest.mark.parametrize(
    "payload", [b"", b"no json", b'{"command":{"type":"later"}}', b"\xff\xfe", b"a\0b", b"[" * 5000]
)
async def test_job_whose_plan_cannot_be_read_blocks_no_other(store, node, payload):
    ids = await store.add([new_job(), new_job(payload=payload), new_job()])
    jobs = await claim_all(store, node)
    assert [job.id for job in jobs] == ids
    assert [type(job.plan.command).__name__ for job in jobs] == ["HttpCommand", "Unreadable", "HttpCommand"]
    assert decode_plan(payload).command == jobs[1].plan.command or jobs[1].plan.command.reason


@pytest.mark.parametrize("context", ["", " ", "x" * 255, "Ä\U0001f600 '\"\\%_", "a ", "A", "a"])
async def test_context_comes_back_as_it_was(store, node, context):
    claimed = await add_and_claim(store, node, new_job(context=context))
    assert claimed.context == (await store.get(claimed.id)).context == context


@pytest.mark.parametrize("instant", [0, NOW + 1000 * 366 * DAY, 253_402_300_799_999_999])
async def test_run_at_of_any_year_comes_back(store, instant):
    job_id = await add_one(store, new_job(run_at=instant, state=first_state(instant, NOW)))
    assert (await store.get(job_id)).run_at == instant


async def test_ids_are_never_used_again_after_purge_and_reopening(backend):
    async with opened(backend) as store:
        node = await store.register("here", 1, NOW)
        jobs = [await add_and_claim(store, node, new_job()) for _ in range(3)]
        await store.turn([decided(job) for job in jobs], None)
        assert await store.purge({State.COMPLETED: NOW + 1}, NOW, 100) == 3
    async with opened(backend) as store:
        assert await add_one(store, new_job()) > jobs[-1].id


async def test_largest_ids_work(backend):
    async with opened(backend):
        pass
    backend.continue_ids_at(2**53 - 2)
    async with opened(backend) as store:
        node = await store.register("here", 1, NOW)
        job = await add_and_claim(store, node, new_job(callback_done=HTTP))
        assert job.id == 2**53 - 2
        assert list((await store.turn([decided(job)], None)).applied) == [True]
        (callback,) = await claim_all(store, node)
        assert callback.id == 2**53 - 1
        assert (await store.get(callback.id)).parent_id == 2**53 - 2


async def test_jobs_are_there_after_reopening(backend):
    async with opened(backend) as store:
        ids = await store.add([new_job(delay=n * SECOND) for n in range(3)])
    async with opened(backend) as store:
        assert [record.id for record in await all_jobs(store)] == ids[::-1]
        assert await store.counts() == backend.recount()


async def test_arrival_is_told_once_durable_with_the_earliest_time(store):
    heard = []
    store.on_arrival(heard.append)
    await store.add([new_job(delay=5 * SECOND), new_job(delay=3 * SECOND)])
    assert heard == [NOW + 3 * SECOND]
    await store.add([new_job(delay=9 * SECOND), new_job()])
    assert len(heard) == 2
    assert heard[1] <= NOW


async def test_arrival_is_told_of_jobs_that_come_back_and_of_callbacks(store, node, backend):
    job = await add_and_claim(store, node, new_job(callback_done=HTTP))
    heard = []
    store.on_arrival(heard.append)
    await store.turn([], None)
    assert heard == []
    await store.turn([decided(job)], None)
    assert len(heard) == 1 or backend.is_shared
    assert heard[0] <= NOW


async def test_nothing_hangs_after_close(backend):
    store = await backend.open()
    node = await store.register("here", 1, NOW)
    await store.close()
    for call in (
        store.add([new_job()]),
        store.turn((), None),
        store.get(1),
        store.purge({}, NOW, 1),
        store.find(JobQuery()),
    ):
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(call, 5)
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(store.heartbeat(node.id).beat, NOW)


async def test_work_that_waits_at_close_is_written(backend):
    store = await backend.open()
    waiting = [asyncio.ensure_future(store.add([new_job()])) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    ids = [job_id for result in await asyncio.gather(*waiting) for job_id in result]
    assert len(ids) == 50
    assert backend.recount()[State.AVAILABLE] == 50
