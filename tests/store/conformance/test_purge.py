import pytest

from queue_server.domain.outcome import FAILED, SUCCEEDED, OutcomeKind, Output
from queue_server.domain.state import FINAL_STATES, State
from tests.builders.jobs import HTTP, NOW, SECOND, decided, job, new_job
from tests.builders.stores import add_and_claim, add_one, claim

KINDS = {State.COMPLETED: SUCCEEDED, State.FAILED: FAILED, State.CANCELLED: OutcomeKind.CANCELLED}


async def ended(store, node, state: State, at: int = NOW, **members) -> int:
    """A job that ended in this state; its id."""
    running = await add_and_claim(store, node, new_job(**members))
    await store.turn([decided(running, KINDS[state], now=at, output=Output(b"x" * 20_000))], None)
    return running.id


async def test_everything_that_belongs_to_a_job_is_deleted(store, node, backend):
    ids = [await ended(store, node, state) for state in FINAL_STATES]
    assert [backend.rows_of(job_id) for job_id in ids] == [3, 3, 3]
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW + 1), NOW, 100) == 3
    assert [backend.rows_of(job_id) for job_id in ids] == [0, 0, 0]
    assert [await store.get(job_id) for job_id in ids] == [None] * 3
    assert [await store.output(job_id) for job_id in ids] == [None] * 3
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0)


async def test_job_is_kept_until_its_states_time(store, node):
    old = {state: await ended(store, node, state, NOW) for state in FINAL_STATES}
    new = {state: await ended(store, node, state, NOW + SECOND) for state in FINAL_STATES}
    assert await store.purge({State.COMPLETED: NOW, State.FAILED: NOW + SECOND}, NOW, 100) == 1
    assert await store.get(old[State.FAILED]) is None
    for kept in (*new.values(), old[State.COMPLETED], old[State.CANCELLED]):
        assert await store.get(kept) is not None


async def test_pages_delete_no_more_than_the_limit_and_the_oldest_first(store, node):
    ids = [await ended(store, node, State.COMPLETED, NOW + 10 - n) for n in range(5)]
    pages = []
    while count := await store.purge({State.COMPLETED: NOW + 100, State.FAILED: NOW + 100}, NOW, 2):
        pages.append(count)
        left = [job_id for job_id in ids if await store.get(job_id) is not None]
        assert left == ids[: len(left)]
    assert pages == [2, 2, 1]


async def test_limit_is_for_all_states_together(store, node):
    for state in FINAL_STATES:
        await ended(store, node, state)
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW + 1), NOW, 2) == 2
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW + 1), NOW, 2) == 1


@pytest.mark.parametrize("state", [State.SCHEDULED, State.AVAILABLE, State.RUNNING])
async def test_job_that_has_not_ended_is_never_deleted(store, node, state):
    if state is State.RUNNING:
        job_id = (await add_and_claim(store, node, new_job())).id
    else:
        job_id = await add_one(store, new_job(delay=SECOND if state is State.SCHEDULED else 0))
    assert await store.purge(dict.fromkeys(State, NOW + 1000 * SECOND), NOW, 100) == 0
    assert (await store.get(job_id)).state is state


async def test_job_that_comes_back_is_not_deleted_for_its_earlier_end(store, node):
    running = await add_and_claim(store, node, new_job())
    await store.turn([decided(running, OutcomeKind.INTERRUPTED)], None)
    assert await store.purge(dict.fromkeys(State, NOW + SECOND), NOW, 100) == 0


async def test_callback_outlives_the_job_it_reports(store, node):
    job_id = await ended(store, node, State.COMPLETED, callback_done=HTTP)
    assert await store.purge({State.COMPLETED: NOW + 1}, NOW, 100) == 1
    (callback,) = await claim(store, node)
    assert callback.plan.report.job_id == job_id
    assert (await store.get(callback.id)).parent_id == job_id


async def test_job_cancelled_while_it_waited_is_deleted_too(store, node):
    (job_id,) = await store.add([new_job()])
    waiting = job(State.AVAILABLE, id=job_id, claim_seq=0, attempt=0)
    assert (await store.turn([decided(waiting, OutcomeKind.CANCELLED)], None)).applied[0]
    assert await store.purge({State.CANCELLED: NOW + 1}, NOW, 100) == 1


async def test_nothing_to_delete_is_zero(store):
    assert await store.purge({}, NOW, 100) == 0
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW), NOW, 100) == 0
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW), NOW, 0) == 0
