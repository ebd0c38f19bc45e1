"""Wishes that come while something else happens to the job: each sees what came before it, and nothing is lost."""

import asyncio

import pytest

from queue_server.domain.outcome import FAILED, SUCCEEDED, OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.domain.state import State
from queue_server.domain.wishes import CancelWish, Refusal, Removal, Revision, Transition
from queue_server.store.contract import Claim, Slots
from tests.builders.jobs import HTTP, NOW, SECOND, decided, new_job
from tests.builders.rules import cancelling, removing, reporting, retrying, revising, running_now
from tests.builders.stores import (
    ALL_SLOTS,
    add_and_claim,
    add_and_continue,
    add_and_end,
    add_one,
    all_jobs,
    amend_one,
    claim,
)


async def test_patches_at_the_same_time_are_all_kept(store):
    job_id = await add_one(store, new_job(delay=SECOND))
    patches = [b'{"tags":{"n%d":"x"}}' % n for n in range(30)] + [b'{"priority":7}', b'{"key":"k"}', b'{"ttl":60}']
    await asyncio.gather(*(amend_one(store, job_id, revising(patch)) for patch in patches))
    record = await store.get(job_id)
    assert record.plan.tags == {f"n{n}": "x" for n in range(30)}
    assert (record.priority, record.key, record.plan.expires_at) == (7, "k", NOW + 60 * SECOND)


async def test_job_is_claimed_as_it_was_or_as_it_was_changed(store, node, backend):
    """A patch that comes too late is refused; one that was accepted is what runs."""
    both = set()
    for n in range(60):
        job_id = await add_one(store, new_job())
        wish = store.turn((), Claim(node.id, Slots(1, 1, 1), NOW))
        patch = amend_one(store, job_id, revising(b'{"priority":7,"command":{"url":"http://changed.example/"}}'))
        first, second = (wish, patch) if n % 2 else (patch, wish)
        first = asyncio.ensure_future(first)
        for _ in range(n):  # a head start, from none to a few statements
            await asyncio.sleep(0)
        results = await asyncio.gather(first, second)
        turn, answer = results if n % 2 else results[::-1]
        jobs = list(turn.claimed.jobs) or list(await claim(store, node))
        assert [job.id for job in jobs] == [job_id]
        is_changed = isinstance(answer, Revision)
        assert is_changed or answer == Refusal(f"job {job_id} is running; only one that waits can be changed")
        assert (jobs[0].priority, jobs[0].plan.command.url) == (
            (7, "http://changed.example/") if is_changed else (500, HTTP.url)
        )
        assert (await store.get(job_id)).plan == jobs[0].plan
        both.add(is_changed)
    assert both == {True, False}, "both happened"
    assert await store.counts() == backend.recount()


@pytest.mark.parametrize("kind", [SUCCEEDED, FAILED, OutcomeKind.INTERRUPTED])
async def test_job_that_is_cancelled_as_it_ends_is_never_run_again(store, node, backend, kind):
    for n in range(20):
        job = await add_and_claim(store, node, new_job(retry=Retry(9, "none")))
        end = store.turn([decided(job, kind)], None)
        wish = amend_one(store, job.id, cancelling())
        results = await asyncio.gather(*((end, wish) if n % 2 else (wish, end)))
        turn, answer = results if n % 2 else results[::-1]
        assert list(turn.applied) == [True]
        claimed = await store.turn((), Claim(node.id, ALL_SLOTS, NOW))
        assert claimed.claimed.jobs == ()
        late = await store.overdue(NOW, 10)
        waiting = [one.id for one in late if one.state is State.AVAILABLE]
        assert [one.id for one in claimed.claimed.overdue] == waiting
        await store.turn([decided(one, OutcomeKind.CANCELLED) for one in late], None)
        state = (await store.get(job.id)).state
        if isinstance(answer, Refusal):
            assert state is State.COMPLETED
        else:
            assert isinstance(answer, CancelWish | Transition)
            assert state is (State.COMPLETED if kind is SUCCEEDED else State.CANCELLED)
    assert await store.counts() == backend.recount()


async def test_job_that_is_removed_and_run_again_at_the_same_time_is_gone_or_runs(store, node, backend):
    for n in range(10):
        job_id = await add_and_end(store, node, new_job(tags={"a": "b"}), FAILED)
        rules = (removing, retrying()) if n % 2 else (retrying(), removing)
        results = await asyncio.gather(*(store.amend((job_id,), rule) for rule in rules))
        removed, retried = results if n % 2 else results[::-1]
        assert backend.is_shared or (retried == []) == bool(n % 2), "the one that came first is first"
        if isinstance(removed[0].answer, Removal):
            assert retried == []
            assert backend.rows_of(job_id) == 0
        else:
            assert isinstance(removed[0].answer, Refusal)
            assert isinstance(retried[0].answer, Revision)
            (job,) = await claim(store, node)
            await store.turn([decided(job)], None)
    assert await store.counts() == backend.recount()


async def test_of_two_reports_of_one_claim_the_first_counts(store, node, backend):
    for _ in range(10):
        job = await add_and_continue(store, node, new_job(callback_done=HTTP, callback_failed=HTTP))
        kinds = [SUCCEEDED, FAILED, SUCCEEDED]
        answers = await asyncio.gather(*(amend_one(store, job.id, reporting(1, kind)) for kind in kinds))
        (first,) = [place for place, answer in enumerate(answers) if isinstance(answer, Transition)]
        assert backend.is_shared or first == 0, "the one that came first is first"
        others = [
            (kind, answer) for place, (kind, answer) in enumerate(zip(kinds, answers, strict=True)) if place != first
        ]
        for kind, answer in others:
            is_same = kind is kinds[first]
            assert answer is None if is_same else isinstance(answer, Refusal), "to say the same again changes nothing"
        state = State.COMPLETED if kinds[first] is SUCCEEDED else State.FAILED
        assert (await store.get(job.id)).state is state
        assert len(await store.attempts(job.id)) == 1
        callbacks = await claim(store, node)
        assert len(callbacks) == 1
        await store.turn([decided(one) for one in callbacks], None)
    assert await store.counts() == backend.recount()


async def test_report_that_comes_before_the_answer_ends_the_job_once(store, node):
    """The target was quicker than its own 202: what the request then brings is of no attempt any more."""
    job = await add_and_claim(store, node, new_job(callback_done=HTTP))
    assert isinstance(await amend_one(store, job.id, reporting(1)), Transition)
    for kind in (OutcomeKind.CONTINUED, SUCCEEDED, FAILED):
        assert list((await store.turn([decided(job, kind)], None)).applied) == [False]
    assert (await store.get(job.id)).state is State.COMPLETED
    assert len(await claim(store, node)) == 1, "its callback"


async def test_decision_about_a_job_as_it_waited_does_not_touch_it_when_it_runs(store, node):
    job_id = await add_one(store, new_job(delay=SECOND, expires_at=NOW))
    (late,) = await store.overdue(NOW, 10)
    await amend_one(store, job_id, revising(b'{"expires_at":null,"delay":0}'))
    await claim(store, node)
    assert list((await store.turn([decided(late, OutcomeKind.EXPIRED)], None)).applied) == [False]
    assert (await store.get(job_id)).state is State.RUNNING


async def test_wishes_of_many_for_many_jobs_keep_the_counts_right(store, node, backend):
    ids = list(await store.add([new_job(delay=n % 3 * SECOND, callback_done=HTTP) for n in range(60)]))
    rules = [cancelling(), running_now, retrying(), removing, revising(b'{"delay":0}'), revising(b'{"delay":3}')]

    async def work() -> None:
        for _ in range(10):
            jobs = await claim(store, node, Slots(5, 5, 5), now=NOW + SECOND)
            await store.turn([decided(job, (SUCCEEDED, FAILED)[job.id % 2]) for job in jobs], None)

    wishes = [store.amend([job_id], rules[(job_id + n) % len(rules)]) for n in range(6) for job_id in ids]
    await asyncio.gather(work(), work(), *wishes)
    assert await store.counts() == backend.recount()
    due = [record.run_at for record in await all_jobs(store) if record.state is State.SCHEDULED]
    turn = await store.turn((), Claim(node.id, Slots(0, 0, 0), NOW))
    assert turn.claimed.next_due == min(due, default=None)
