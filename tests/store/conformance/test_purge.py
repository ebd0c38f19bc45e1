import pytest

from queue_server.domain.outcome import FAILED, SUCCEEDED, OutcomeKind, Output
from queue_server.domain.state import FINAL_STATES, State
from tests.builders.jobs import DAY, HTTP, NOW, SECOND, decided, job, new_job
from tests.builders.rules import retrying
from tests.builders.stores import add_and_claim, add_one, amend_one, claim, opened

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


# Jobs with a retention of their own.


@pytest.mark.parametrize("state", FINAL_STATES)
async def test_job_with_its_own_retention_is_kept_for_it_and_not_for_its_states(store, node, backend, state):
    short = await ended(store, node, state, retention=5)
    long = await ended(store, node, state, retention=2 * DAY / SECOND)
    assert await store.purge({state: NOW - DAY}, NOW + 5 * SECOND, 100) == 0
    assert await store.purge({state: NOW - DAY}, NOW + 5 * SECOND + 1, 100) == 1
    assert await store.get(short) is None
    assert await store.purge({state: NOW + DAY}, NOW + 2 * DAY, 100) == 0
    assert (await store.get(long)).keep_until == NOW + 2 * DAY
    assert await store.purge({}, NOW + 2 * DAY + 1, 100) == 1
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0)


async def test_job_with_no_retention_at_all_is_deleted_once_the_time_has_moved_on(store, node):
    await ended(store, node, State.COMPLETED, retention=0)
    assert await store.purge({}, NOW, 100) == 0
    assert await store.purge({}, NOW + 1, 100) == 1


async def test_own_and_common_retention_share_the_limit(store, node, backend):
    for n in range(3):
        await ended(store, node, State.FAILED, retention=n)
        await ended(store, node, State.COMPLETED)
    pages = []
    while count := await store.purge({State.COMPLETED: NOW + 1}, NOW + DAY, 2):
        pages.append(count)
    assert pages == [2, 2, 2]
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0)


async def test_jobs_with_their_own_retention_hold_up_no_others(store, node):
    kept = [await ended(store, node, State.COMPLETED, NOW + n, retention=DAY / SECOND) for n in range(20)]
    old = [await ended(store, node, State.COMPLETED, NOW + n) for n in range(20)]
    assert await store.purge({State.COMPLETED: NOW + 100}, NOW, 20) == 20
    assert [await store.get(job_id) for job_id in old] == [None] * 20
    assert None not in [await store.get(job_id) for job_id in kept]


async def test_own_retention_counts_from_the_last_end(store, node):
    job_id = await ended(store, node, State.FAILED, retention=5)
    await amend_one(store, job_id, retrying())
    (job_,) = await claim(store, node)
    await store.turn([decided(job_, now=NOW + 9 * SECOND)], None)
    assert await store.purge({}, NOW + 14 * SECOND, 100) == 0
    assert await store.purge({}, NOW + 14 * SECOND + 1, 100) == 1


async def test_tags_go_with_their_job(store, node, backend):
    common = await ended(store, node, State.COMPLETED, tags={"a": "1", "b": "2"})
    own = await ended(store, node, State.COMPLETED, tags={"a": "1"}, retention=0)
    left = await add_one(store, new_job(tags={"a": "1"}))
    assert await store.purge({State.COMPLETED: NOW + 1}, NOW + 1, 100) == 2
    assert [backend.rows_of(job_id) for job_id in (common, own, left)] == [0, 0, 3]


# Nothing is passed over.


async def test_job_whose_end_comes_late_is_deleted_too(store, node):
    """It was decided before the last page was deleted, and is written after it."""
    job_ = await add_and_claim(store, node, new_job())
    before = {State.COMPLETED: NOW + 1000 * SECOND}
    assert await store.purge(before, NOW, 100) == 0
    await store.turn([decided(job_, now=NOW)], None)
    assert await store.purge(before, NOW, 100) == 1


@pytest.mark.parametrize("step", [60 * SECOND, 2 * 3600 * SECOND, 400 * DAY])
async def test_jobs_that_end_after_the_clock_was_set_back_are_deleted(store, node, backend, step):
    now = NOW + 500 * DAY
    await ended(store, node, State.COMPLETED, now)
    assert await store.purge({State.COMPLETED: now + 1}, now, 100) == 1
    now -= step
    await ended(store, node, State.COMPLETED, now)
    assert await store.purge({State.COMPLETED: now}, now, 100) == 0, "it has only just ended"
    await ended(store, node, State.COMPLETED, now + SECOND)
    assert await store.purge({State.COMPLETED: now + 2 * SECOND}, now, 100) == 2
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0)


async def test_full_pages_pass_over_nothing(store, node, backend):
    """Each state and kind of retention has to wait for a page with room; their jobs ended days apart."""
    for n in range(4):
        for state in FINAL_STATES:
            await ended(store, node, state, NOW + n * DAY, retention=n if n % 2 else None, tags={"n": str(n)})
    before = dict.fromkeys(FINAL_STATES, NOW + 100 * DAY)
    pages = []
    while count := await store.purge(before, NOW + 100 * DAY, 3):
        pages.append(count)
    assert pages == [3, 3, 3, 3]
    assert sum(backend.recount().values()) == 0


async def test_jobs_are_deleted_after_reopening_too(backend):
    async with opened(backend) as store:
        node = await store.register("here", 1, NOW)
        ids = [
            await ended(store, node, State.COMPLETED, NOW - DAY),
            await ended(store, node, State.FAILED, retention=1),
        ]
    async with opened(backend) as store:
        assert await store.purge({State.COMPLETED: NOW, State.FAILED: NOW}, NOW + DAY, 100) == 2
        assert [backend.rows_of(job_id) for job_id in ids] == [0, 0]
        assert await store.counts() == backend.recount()
