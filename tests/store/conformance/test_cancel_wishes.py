"""Running jobs that somebody wants cancelled: their node is told, and whatever happens they do not run again."""

import asyncio

import pytest

from queue_server.domain.lifecycle import decide, overdue
from queue_server.domain.outcome import FAILED, SUCCEEDED, OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.domain.state import FINAL_STATES, State
from queue_server.domain.wishes import CancelWish, Refusal
from queue_server.store.contract import Claim
from tests.builders.jobs import DAY, HTTP, NOW, SECOND, decided, moment, new_job
from tests.builders.rules import cancelling, extending, reporting, retrying, revising, running_now
from tests.builders.stores import ALL_SLOTS, add_and_claim, amend_one, claim, opened

LEASE = 15 * SECOND


async def wished(store, node, **members):
    """A job that runs and is to be cancelled."""
    job = await add_and_claim(store, node, new_job(**members))
    assert isinstance(await amend_one(store, job.id, cancelling("enough")), CancelWish)
    return job


async def test_wish_is_kept_and_the_job_still_runs(store, node, backend):
    job = await wished(store, node)
    record = await store.get(job.id)
    assert (record.state, record.cancel_wished_at, record.reason) == (State.RUNNING, NOW, "enough")
    assert (record.node_id, record.claim_seq, record.ended_at) == (node.id, 1, None)
    assert not record.is_continued
    assert await store.counts() == backend.recount()
    assert await amend_one(store, job.id, cancelling("again", now=NOW + 5)) is None
    assert await store.get(job.id) == record


async def test_listener_hears_of_it_once_it_is_durable(store, node, backend):
    job = await add_and_claim(store, node, new_job())
    heard = []

    def listen(job_id: int, claim_seq: int, reason: str) -> None:
        assert asyncio.get_running_loop(), "in the event loop"
        heard.append((job_id, claim_seq, reason, backend.wishes()))

    store.on_cancel(listen)
    store.on_cancel(lambda *wish: heard.append(wish))
    await amend_one(store, job.id, cancelling("enough"))
    assert heard == [(job.id, 1, "enough", 1), (job.id, 1, "enough")]
    await amend_one(store, job.id, cancelling())
    assert len(heard) == 2, "it has been told"


async def test_listener_hears_of_each_of_many_that_run_and_of_no_other(store, node):
    running = [await add_and_claim(store, node, new_job(priority=900)) for _ in range(5)]
    waiting = list(await store.add([new_job() for _ in range(5)]))
    heard = []
    store.on_cancel(lambda job_id, _claim, _reason: heard.append(job_id))
    ids = [job_id for pair in zip([job.id for job in running], waiting, strict=True) for job_id in pair]
    await store.amend(ids, cancelling())
    assert heard == [job.id for job in running]


async def test_interrupted_job_is_cancelled(store, node, backend):
    job = await wished(store, node, callback_done=HTTP)
    change = decided(job, OutcomeKind.CANCELLED, error="enough")
    assert list((await store.turn([change], None)).applied) == [True]
    record = await store.get(job.id)
    assert (record.state, record.reason, record.overdue_at) == (State.CANCELLED, "enough", None)
    (callback,) = await claim(store, node)
    assert callback.plan.report.state is State.CANCELLED
    assert await store.counts() == backend.recount()


@pytest.mark.parametrize("kind", [SUCCEEDED, FAILED])
async def test_job_that_ends_before_it_is_interrupted_has_ended(store, node, kind):
    job = await wished(store, node)
    await store.turn([decided(job, kind)], None)
    record = await store.get(job.id)
    assert (record.state, record.overdue_at) == (State.COMPLETED if kind is SUCCEEDED else State.FAILED, None)
    assert list(await store.overdue(NOW + DAY, 10)) == []


async def test_wish_is_known_when_the_job_is_rescued(backend):
    async with opened(backend) as store:
        node = await store.register("here", 9, NOW)
        job = await wished(store, node, retry=Retry(9))
        other = await add_and_claim(store, node, new_job())
    async with opened(backend) as store:
        await store.register("here", 9, NOW + LEASE)
        lost = await store.expired(NOW + 2 * LEASE, LEASE, 10)
        assert [(one.id, one.is_cancel_wished) for one in lost] == [(job.id, True), (other.id, False)]
        changes = [decided(one, OutcomeKind.LEASE_EXPIRED) for one in lost]
        assert list((await store.turn(changes, None)).applied) == [True, True]
        record = await store.get(job.id)
        assert (record.state, record.reason) == (State.CANCELLED, "enough")
        assert (await store.get(other.id)).state is State.AVAILABLE


# The wish comes when it has been decided already that the job comes back or goes on.

COMES_BACK = [FAILED, OutcomeKind.INTERRUPTED, OutcomeKind.LEASE_EXPIRED, OutcomeKind.SNOOZED, OutcomeKind.CONTINUED]


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("kind", COMES_BACK)
async def test_job_that_comes_back_after_the_wish_is_not_run_again_but_cancelled(store, node, backend, kind, others):
    """`others` that are stale have the turn written one by one."""
    job = await add_and_claim(store, node, new_job(retry=Retry(9, "none"), callback_done=HTTP))
    before = decided(job, kind)
    await amend_one(store, job.id, cancelling("enough"))
    stale = [decided(job, kind) for _ in range(others)]
    turn = await store.turn([before, *stale], Claim(node.id, ALL_SLOTS, NOW))
    assert turn.applied[0]
    assert turn.claimed.jobs == ()
    waits = kind is not OutcomeKind.CONTINUED
    assert [one.id for one in turn.claimed.overdue] == [job.id] * waits
    (late,) = await store.overdue(NOW, 10)
    assert late.is_cancel_wished
    if waits:
        assert turn.claimed.overdue[0].is_cancel_wished
        assert late.state is turn.claimed.overdue[0].state is State.AVAILABLE
    change = decide(late, overdue(late, NOW), moment())
    assert list((await store.turn([change], None)).applied) == [True]
    record = await store.get(job.id)
    assert (record.state, record.reason) == (State.CANCELLED, "enough")
    assert list(await store.overdue(NOW + DAY, 10)) == []
    assert len(await claim(store, node)) == 1, "its callback"
    assert await store.counts() == backend.recount()


async def test_job_that_waits_longer_after_the_wish_is_found_at_once(store, node, backend):
    job = await add_and_claim(store, node, new_job(retry=Retry(9, "fixed", 3600.0), deadline=NOW + 9 * DAY))
    before = decided(job, FAILED)
    await amend_one(store, job.id, cancelling())
    await store.turn([before], None)
    (late,) = await store.overdue(NOW, 10)
    assert late.state is State.SCHEDULED
    await store.turn([decide(late, overdue(late, NOW), moment())], None)
    assert (await store.get(job.id)).state is State.CANCELLED
    assert await store.counts() == backend.recount()


async def test_job_that_is_to_be_cancelled_is_not_started_by_a_clock_that_was_set_back(store, node):
    job = await add_and_claim(store, node, new_job(retry=Retry(9, "none")))
    before = decided(job, FAILED, now=NOW - DAY)
    await amend_one(store, job.id, cancelling())
    turn = await store.turn([before], Claim(node.id, ALL_SLOTS, NOW - DAY))
    assert turn.claimed.jobs == ()
    assert [one.id for one in turn.claimed.overdue] == [job.id]


async def test_job_that_waits_to_be_cancelled_can_not_be_changed_out_of_it(store, node):
    job = await add_and_claim(store, node, new_job(retry=Retry(9, "fixed", 60.0)))
    before = decided(job, FAILED)
    await amend_one(store, job.id, cancelling())
    await store.turn([before], None)
    waiting = await store.get(job.id)
    for rule in (revising(b'{"priority":7}'), running_now):
        assert await amend_one(store, job.id, rule) == Refusal(f"job {job.id} is being cancelled")
    assert await store.get(job.id) == waiting
    await amend_one(store, job.id, cancelling("enough"))
    assert (await store.get(job.id)).reason == "enough"


async def test_sign_of_life_does_not_save_a_job_that_is_to_be_cancelled(store, node):
    job = await add_and_claim(store, node, new_job())
    before = decided(job, OutcomeKind.CONTINUED)
    await amend_one(store, job.id, cancelling())
    await store.turn([before], None)
    assert await amend_one(store, job.id, extending(1)) is None
    assert len(await store.overdue(NOW, 10)) == 1
    await amend_one(store, job.id, reporting(1))
    assert (await store.get(job.id)).state is State.COMPLETED, "it was quicker"


async def test_job_that_runs_again_on_request_is_not_wished_away(store, node):
    job = await wished(store, node)
    await store.turn([decided(job, OutcomeKind.CANCELLED)], None)
    await amend_one(store, job.id, retrying())
    assert (await store.get(job.id)).cancel_wished_at is None
    (again,) = await claim(store, node)
    assert not again.is_cancel_wished
    await store.turn([decided(again, FAILED)], None)
    assert (await store.get(job.id)).state in FINAL_STATES
