"""Jobs that go on at their target past the request: they run without a node, until a report or silence ends them."""

import pytest

from queue_server.domain.lifecycle import decide, overdue
from queue_server.domain.outcome import FAILED, SUCCEEDED, TIMED_OUT, OutcomeKind, Output
from queue_server.domain.retry import Retry
from queue_server.domain.state import State
from queue_server.domain.wishes import Extension, Refusal, Transition
from tests.builders.jobs import DAY, HTTP, NOW, SECOND, decided, moment, new_job
from tests.builders.rules import cancelling, extending, reporting
from tests.builders.stores import add_and_claim, add_and_continue, amend_one, claim, opened

LEASE = 15 * SECOND
CONTINUED = OutcomeKind.CONTINUED


async def test_job_that_goes_on_still_runs_and_is_no_attempt_yet(store, node, backend):
    job = await add_and_continue(store, node, new_job(callback_done=HTTP), heartbeat=30)
    record = await store.get(job.id)
    assert (record.state, record.claim_seq, record.attempt) == (State.RUNNING, 1, 1)
    assert record.is_continued
    assert (record.overdue_at, record.ended_at) == (NOW + 30 * SECOND, None)
    assert (record.node_id, record.claimed_at) == (node.id, NOW), "it tells where the attempt began"
    assert record.reason == "goes on at its target, which reports the result"
    assert list(await store.attempts(job.id)) == []
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0) | {State.RUNNING: 1}
    assert await claim(store, node, now=NOW + DAY) == ()


async def test_job_goes_on_without_its_node(backend):
    """It is not lost with it: its target reports to whichever node there is."""
    async with opened(backend) as store:
        node = await store.register("here", 9, NOW)
        job = await add_and_continue(store, node, new_job())
        lost = await add_and_claim(store, node, new_job())
    async with opened(backend) as store:
        await store.register("here", 9, NOW + LEASE)
        assert [one.id for one in await store.expired(NOW + 2 * LEASE, LEASE, 10)] == [lost.id]
        record = await store.get(job.id)
        assert record.is_continued
        assert await store.counts() == backend.recount()
        answer = await amend_one(store, job.id, reporting(1, output=Output(text=b"done", size=4), exit_code=0))
        assert isinstance(answer, Transition)
        record = await store.get(job.id)
        assert (record.state, record.outcome, record.exit_code) == (State.COMPLETED, SUCCEEDED, 0)
        assert (await store.output(job.id)).text == b"done"


async def test_jobs_of_a_node_that_has_stopped_are_expired_but_for_those_that_go_on(store, node):
    job = await add_and_continue(store, node, new_job())
    await store.deregister(node.id)
    assert list(await store.expired(NOW, LEASE, 10)) == []
    assert (await store.get(job.id)).is_continued


async def test_sign_of_life_moves_the_time_of_the_next_one(store, node):
    job = await add_and_continue(store, node, new_job(), heartbeat=30)
    answer = await amend_one(store, job.id, extending(1, 60, "half way", now=NOW + 20 * SECOND))
    assert isinstance(answer, Extension)
    record = await store.get(job.id)
    assert (record.overdue_at, record.reason, record.is_continued) == (NOW + 80 * SECOND, "half way", True)
    assert list(await store.overdue(NOW + 80 * SECOND - 1, 10)) == []
    assert [one.id for one in await store.overdue(NOW + 80 * SECOND, 10)] == [job.id]


@pytest.mark.parametrize("retry", [None, Retry(2, "none")])
async def test_job_whose_target_falls_silent_is_timed_out(store, node, backend, retry):
    job = await add_and_continue(store, node, new_job(retry=retry), heartbeat=30)
    late = NOW + 30 * SECOND
    assert list(await store.overdue(late - 1, 10)) == []
    (silent,) = await store.overdue(late, 10)
    assert (silent.id, silent.state, silent.claim_seq, silent.node_id) == (job.id, State.RUNNING, 1, node.id)
    assert (silent.claimed_at, silent.first_started_at, silent.due_at) == (NOW, NOW, NOW)
    change = decide(silent, overdue(silent, late), moment(late, started_at=silent.claimed_at))
    assert list((await store.turn([change], None)).applied) == [True]
    record = await store.get(job.id)
    assert record.state is (State.AVAILABLE if retry else State.FAILED)
    assert (record.outcome, record.error, record.node_id) == (
        TIMED_OUT,
        "no heartbeat came in time from its target",
        None,
    )
    (attempt,) = await store.attempts(job.id)
    assert (attempt.started_at, attempt.ended_at, attempt.node_id) == (NOW, late, node.id)
    assert list(await store.overdue(late + DAY, 10)) == []
    assert await store.counts() == backend.recount()


async def test_report_of_a_failure_is_tried_again_like_any_other(store, node, backend):
    job = await add_and_continue(store, node, new_job(retry=Retry(2, "fixed", 5.0, jitter=0), deadline=NOW + DAY))
    await amend_one(store, job.id, reporting(1, FAILED, error="no", exit_code=3))
    record = await store.get(job.id)
    assert (record.state, record.run_at, record.overdue_at) == (State.SCHEDULED, NOW + 5 * SECOND, NOW + DAY)
    assert (record.outcome, record.exit_code, record.node_id) == (FAILED, 3, None)
    assert not record.is_continued
    (again,) = await claim(store, node, now=NOW + 5 * SECOND)
    assert (again.claim_seq, again.attempt) == (2, 2)
    assert await store.counts() == backend.recount()


async def test_report_arrives_with_its_callback(store, node):
    job = await add_and_continue(store, node, new_job(callback_done=HTTP))
    heard = []
    store.on_arrival(heard.append)
    await amend_one(store, job.id, reporting(1))
    assert heard
    (callback,) = await claim(store, node)
    assert callback.plan.report.job_id == job.id


@pytest.mark.parametrize("what", [extending, reporting])
async def test_target_of_a_claim_that_is_over_is_refused(store, node, what):
    """It was timed out and runs again: whatever the first target says does not touch the second attempt."""
    job = await add_and_continue(store, node, new_job(retry=Retry(3, "none")))
    await store.turn([decided(job, TIMED_OUT)], None)
    assert isinstance(await amend_one(store, job.id, what(1)), Refusal)
    (again,) = await claim(store, node)
    await store.turn([decided(again, CONTINUED)], None)
    before = await store.get(job.id)
    assert isinstance(await amend_one(store, job.id, what(1)), Refusal)
    assert await store.get(job.id) == before
    assert not isinstance(await amend_one(store, job.id, what(2, now=NOW + 1)), Refusal)
    await amend_one(store, job.id, reporting(2))
    assert not isinstance(await amend_one(store, job.id, what(2)), Extension | Transition)
    assert isinstance(await amend_one(store, job.id, reporting(2, FAILED)), Refusal)


async def test_sign_of_life_before_the_answer_changes_nothing(store, node):
    job = await add_and_claim(store, node, new_job())
    before = await store.get(job.id)
    assert await amend_one(store, job.id, extending(1)) is None
    assert await store.get(job.id) == before


async def test_attempt_that_goes_on_and_ends_in_one_turn_has_ended(store, node, backend):
    job = await add_and_claim(store, node, new_job(callback_done=HTTP))
    turn = await store.turn([decided(job, CONTINUED), decided(job)], None)
    assert list(turn.applied) == [True, True]
    record = await store.get(job.id)
    assert (record.state, record.overdue_at, record.node_id) == (State.COMPLETED, None, None)
    assert list((await store.turn([decided(job, CONTINUED)], None)).applied) == [False]
    assert await store.counts() == backend.recount()


async def test_attempt_that_goes_on_among_others_of_its_turn_disturbs_none(store, node, backend):
    jobs = [await add_and_claim(store, node, new_job(callback_done=HTTP, priority=900)) for _ in range(9)]
    kinds = [(CONTINUED, SUCCEEDED, FAILED)[n % 3] for n in range(9)]
    turn = await store.turn([decided(job, kind) for job, kind in zip(jobs, kinds, strict=True)], None)
    assert list(turn.applied) == [True] * 9
    states = [(await store.get(job.id)).state for job in jobs]
    assert states == [State.RUNNING, State.COMPLETED, State.FAILED] * 3
    assert backend.recount()[State.AVAILABLE] == 6
    assert await store.counts() == backend.recount()


async def test_cancelled_job_that_goes_on_is_cancelled_at_once_and_its_target_told_to_stop(store, node, backend):
    job = await add_and_continue(store, node, new_job())
    heard = []
    store.on_cancel(lambda *claim: heard.append(claim))
    assert isinstance(await amend_one(store, job.id, cancelling("enough")), Transition)
    record = await store.get(job.id)
    assert (record.state, record.reason, record.overdue_at) == (State.CANCELLED, "enough", None)
    assert heard == [], "nothing runs here that could be interrupted"
    answer = await amend_one(store, job.id, extending(1))
    assert answer == Refusal(f"job {job.id} has been cancelled; stop working on it")
    assert await store.counts() == backend.recount()
