"""What becomes of jobs when a rule says so: each kind of change, and what is none."""

import asyncio

import pytest

from queue_server.domain import wishes
from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import InvalidJob, NotAllowed, Problem, StoreError
from queue_server.domain.job import JobRecord
from queue_server.domain.outcome import FAILED, SUCCEEDED, OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.domain.state import FINAL_STATES, State
from queue_server.domain.wishes import Refusal, Removal, Revision, Transition
from queue_server.store.contract import Claim
from tests.builders.jobs import DAY, EXEC, HTTP, NOW, SECOND, decided, new_job
from tests.builders.rules import cancelling, removing, retrying, revising, running_now
from tests.builders.stores import ALL_SLOTS, add_and_claim, add_and_end, add_one, amend_one, claim, claim_all, opened

KINDS = {State.COMPLETED: SUCCEEDED, State.FAILED: FAILED, State.CANCELLED: OutcomeKind.CANCELLED}


# Which jobs.


async def test_rule_sees_the_jobs_as_readers_see_them_in_the_order_of_the_ids(store, node):
    ids = [await add_one(store, new_job(context=str(n), tags={"n": str(n)})) for n in range(5)]
    await claim(store, node)
    seen = []
    amended = await store.amend([ids[3], ids[0], ids[4]], seen.append)
    assert [record.id for record in seen] == [one.record.id for one in amended] == [ids[3], ids[0], ids[4]]
    assert seen == [await store.get(record.id) for record in seen]
    assert [one.answer for one in amended] == [None] * 3


@pytest.mark.parametrize("job_id", [0, -1, 99, 2**53, 2**63 - 1])
async def test_id_that_no_job_has_is_left_out(store, job_id):
    first = await add_one(store, new_job())
    amended = await store.amend([job_id, first], cancelling())
    assert [one.record.id for one in amended] == [first]
    assert await store.amend([job_id], cancelling()) == []
    assert await store.amend([], cancelling()) == []


async def test_id_that_is_named_twice_is_changed_once(store, node, backend):
    ended = await add_and_end(store, node, new_job(), SUCCEEDED)
    waiting = await add_one(store, new_job(callback_done=HTTP))
    assert len(await store.amend([waiting, waiting], cancelling())) == 1
    assert len(await store.amend([ended, ended], removing)) == 1
    assert backend.recount() == await store.counts()
    assert sum(backend.recount().values()) == 2, "the cancelled job and its one callback"


async def test_many_jobs_are_changed_at_once(store, backend):
    ids = list(await store.add([new_job(delay=n % 2 * SECOND, callback_done=HTTP) for n in range(1000)]))
    amended = await store.amend(ids, cancelling())
    assert [one.answer.state for one in amended] == [State.CANCELLED] * 1000
    assert await store.counts() == backend.recount()
    assert backend.recount() == dict.fromkeys(State, 0) | {State.CANCELLED: 1000, State.AVAILABLE: 1000}


# Transitions.


@pytest.mark.parametrize("delay", [0, SECOND])
async def test_waiting_job_is_cancelled_with_its_callback(store, node, backend, delay):
    job_id = await add_one(store, new_job(delay=delay, callback_done=HTTP, retention=5))
    assert isinstance(await amend_one(store, job_id, cancelling("not needed")), Transition)
    record = await store.get(job_id)
    assert (record.state, record.reason, record.ended_at) == (State.CANCELLED, "not needed", NOW)
    assert (record.keep_until, record.overdue_at) == (NOW + 5 * SECOND, None)
    assert list(await store.attempts(job_id)) == []
    (callback,) = await claim(store, node)
    assert callback.plan.report.job_id == job_id
    assert await store.counts() == backend.recount()


async def test_cancelling_the_job_that_is_due_next_moves_the_next_due_time(store, node):
    first, _ = await store.add([new_job(delay=SECOND), new_job(delay=5 * SECOND)])
    await amend_one(store, first, cancelling())
    turn = await store.turn((), Claim(node.id, ALL_SLOTS, NOW))
    assert turn.claimed.next_due == NOW + 5 * SECOND


async def test_transition_that_changes_nothing_is_not_written(store, node):
    job = await add_and_claim(store, node, new_job())
    before = await store.get(job.id)
    await amend_one(store, job.id, lambda record: decided(record.as_job(), OutcomeKind.EXPIRED))
    assert await store.get(job.id) == before


# Revisions.


async def test_revised_job_is_stored_and_claimed_as_it_was_changed(store, node, backend):
    job_id = await add_one(store, new_job(tags={"a": "1", "b": "2"}, retry=Retry(3)))
    patch = b"""{"command":{"type":"exec","cmd":"true","url":null},"priority":900,"queue":"q","context":"c","key":"k",
        "tags":{"a":null,"c":"3"},"ttl":60,"retry":{"max_attempts":5},"callback_done":{"type":"exec","cmd":"echo"}}"""
    answer = await amend_one(store, job_id, revising(patch))
    record = await store.get(job_id)
    assert (record.priority, record.queue, record.context, record.key) == (900, "q", "c", "k")
    assert record.plan == answer.plan
    assert (record.plan.tags, record.plan.retry.max_attempts) == ({"b": "2", "c": "3"}, 5)
    assert (record.overdue_at, record.plan.expires_at) == (NOW + 60 * SECOND, NOW + 60 * SECOND)
    assert backend.rows_of(job_id) == 2 + 2, "the job, its plan and two tags"
    (job,) = await claim(store, node)
    assert (job.plan, job.priority, job.queue, job.key) == (answer.plan, 900, "q", "k")
    assert isinstance(job.plan.command, ExecCommand)


@pytest.mark.parametrize(("before", "after"), [(0, 5), (5, 0), (5, 9), (0, 0)])
async def test_revised_job_is_due_when_it_says(store, node, backend, before, after):
    job_id = await add_one(store, new_job(delay=before * SECOND))
    await amend_one(store, job_id, revising(b'{"delay":%d}' % after))
    assert await store.counts() == backend.recount()
    turn = await store.turn((), Claim(node.id, ALL_SLOTS, NOW))
    assert [job.id for job in turn.claimed.jobs] == ([] if after else [job_id])
    assert turn.claimed.next_due == (NOW + after * SECOND if after else None)
    if after:
        assert await claim(store, node, now=NOW + after * SECOND - 1) == ()
        assert len(await claim(store, node, now=NOW + after * SECOND)) == 1


async def test_revised_job_is_in_the_place_that_its_priority_gives_it(store, node):
    low, middle, high = await store.add([new_job(EXEC, priority=n) for n in (100, 500, 900)])
    await amend_one(store, low, revising(b'{"priority":1000}'))
    await amend_one(store, high, revising(b'{"priority":0}'))
    assert [job.id for job in await claim_all(store, node)] == [low, middle, high]


async def test_job_that_is_run_now_arrives_at_once(store, node, backend):
    await add_one(store, new_job(delay=5 * SECOND))
    job_id = await add_one(store, new_job(delay=DAY, tags={"a": "b"}))
    heard = []
    store.on_arrival(heard.append)
    assert isinstance(await amend_one(store, job_id, running_now), Revision)
    assert len(heard) == 1 or backend.is_shared, "nodes that look at a database tell what waits there again"
    assert heard[-1] <= NOW
    turn = await store.turn((), Claim(node.id, ALL_SLOTS, NOW))
    assert [job.id for job in turn.claimed.jobs] == [job_id]
    assert turn.claimed.next_due == NOW + 5 * SECOND
    assert backend.rows_of(job_id) == 3, "its tag is still there"
    assert await store.counts() == backend.recount()


@pytest.mark.parametrize("state", FINAL_STATES)
async def test_final_job_runs_again_and_nothing_of_its_end_is_left(store, node, backend, state):
    members = {"retention": 5, "retry": Retry(2, "none"), "callback_done": HTTP, "callback_failed": HTTP}
    job_id = await add_and_end(store, node, new_job(**members, expires_at=NOW + 9), KINDS[state])
    if state is State.FAILED:
        (again,) = await claim(store, node)
        await store.turn([decided(again, FAILED)], None)
    callbacks = await claim_all(store, node)
    assert len(callbacks) == 1
    before = await store.get(job_id)
    assert (before.state, before.keep_until) == (state, NOW + 5 * SECOND)
    heard = []
    store.on_arrival(heard.append)
    await amend_one(store, job_id, retrying(now=NOW + 1))
    assert heard
    record = await store.get(job_id)
    assert (record.state, record.run_at, record.reason) == (State.AVAILABLE, NOW + 1, "tried again on request")
    assert (record.ended_at, record.keep_until, record.cancel_wished_at) == (None, None, None)
    assert (record.first_started_at, record.overdue_at) == (None, NOW + 9)
    assert (record.refunded, record.losses) == (before.attempt, 0)
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW + DAY), NOW + DAY, 100) == 0
    assert await store.counts() == backend.recount()
    (job,) = await claim(store, node, now=NOW + 2)
    assert (job.claim_seq, job.attempt, job.counted_attempts) == (before.claim_seq + 1, before.attempt + 1, 1)
    assert job.first_started_at == NOW + 2
    assert decided(job, FAILED).state is State.AVAILABLE, "it has a retry left again"


async def test_final_job_is_changed_and_put_off_before_it_runs_again(store, node, backend):
    job_id = await add_and_end(store, node, new_job(), FAILED)
    await amend_one(store, job_id, retrying(b'{"delay":5,"tags":{"a":"b"},"priority":7}'))
    record = await store.get(job_id)
    assert (record.state, record.run_at, record.priority) == (State.SCHEDULED, NOW + 5 * SECOND, 7)
    assert record.plan.tags == {"a": "b"}
    assert (await store.turn((), Claim(node.id, ALL_SLOTS, NOW))).claimed.next_due == NOW + 5 * SECOND
    assert await store.counts() == backend.recount()


async def test_plan_that_cannot_be_read_is_kept_as_it_is(store, node, backend):
    payload = b'{"command":{"type":"of a later version"}}'
    job_id = await add_and_end(store, node, new_job(payload=payload, tags={"a": "b"}), FAILED)
    await amend_one(store, job_id, retrying())
    (job,) = await claim(store, node)
    assert "of a later version" in job.plan.command.reason
    assert backend.rows_of(job_id) == 4, "the job, its plan, its attempt and its tag"


# Removals.


@pytest.mark.parametrize("state", FINAL_STATES)
async def test_removed_job_is_gone_with_all_that_belongs_to_it(store, node, backend, state):
    job_id = await add_and_end(store, node, new_job(tags={"a": "1", "b": "2"}, retention=9), KINDS[state])
    assert backend.rows_of(job_id) == 5
    assert await amend_one(store, job_id, removing) == Removal(job_id, state)
    assert backend.rows_of(job_id) == 0
    assert await store.get(job_id) is None
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0)
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW + DAY), NOW + DAY, 100) == 0


async def test_jobs_of_different_states_are_removed_together(store, node, backend):
    ids = [await add_and_end(store, node, new_job(), kind) for kind in (*KINDS.values(), *KINDS.values())]
    left = await add_one(store, new_job())
    await store.amend(ids, removing)
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0) | {State.AVAILABLE: 1}
    assert await store.get(left) is not None


# No changes.


async def test_refused_and_fulfilled_wishes_change_nothing(store, node):
    job = await add_and_claim(store, node, new_job())
    await add_one(store, new_job(delay=SECOND))
    before = [await store.get(job_id) for job_id in (job.id, job.id + 1)]
    for rule in (running_now, revising(b'{"priority":7}'), retrying(), removing):
        assert isinstance(await amend_one(store, job.id, rule), Refusal)
    assert await amend_one(store, job.id + 1, lambda _: None) is None
    assert [await store.get(record.id) for record in before] == before


@pytest.mark.parametrize(
    "error", [InvalidJob([Problem("/priority", "must be good")]), NotAllowed("/command", "commands are off")], ids=repr
)
async def test_error_of_a_rule_is_its_answer_and_disturbs_no_other_job(store, error):
    def rule(record: JobRecord) -> wishes.Answer:
        if record.context == "bad":
            raise error
        return wishes.cancel(record, "", NOW)

    ids = await store.add([new_job(), new_job(context="bad"), new_job()])
    amended = await store.amend(ids, rule)
    assert amended[1].answer is error
    states = [(await store.get(job_id)).state for job_id in ids]
    assert states == [State.CANCELLED, State.AVAILABLE, State.CANCELLED]


async def test_patch_that_makes_no_good_job_disturbs_no_work_of_its_group(store, node, backend):
    ids = list(await store.add([new_job(delay=SECOND) for _ in range(50)]))
    patches = [b'{"priority":%d}' % (-1 if n % 5 == 0 else n) for n in range(50)]
    amends = [amend_one(store, job_id, revising(patch)) for job_id, patch in zip(ids, patches, strict=True)]
    answers = await asyncio.gather(*amends, *(store.add([new_job()]) for _ in range(50)))
    assert [isinstance(answer, InvalidJob) for answer in answers[:50]] == [n % 5 == 0 for n in range(50)]
    priorities = [(await store.get(job_id)).priority for job_id in ids]
    assert priorities == [500 if n % 5 == 0 else n for n in range(50)]
    assert await store.counts() == backend.recount()


async def test_rule_that_is_broken_fails_alone_and_changes_nothing(store, node, backend):
    ids = list(await store.add([new_job() for _ in range(3)]))

    def broken(record: JobRecord) -> wishes.Answer:
        if record.id == ids[1]:
            raise ZeroDivisionError
        return wishes.cancel(record, "", NOW)

    works = (
        store.add([new_job()]),
        store.amend(ids, broken),
        store.turn((), Claim(node.id, ALL_SLOTS, NOW)),
        amend_one(store, ids[2], cancelling()),
    )
    results = await asyncio.gather(*works, return_exceptions=True)
    assert [isinstance(result, StoreError) for result in results] == [False, True, False, False]
    assert (await store.get(ids[0])).state is not State.CANCELLED
    assert await store.counts() == backend.recount()


@pytest.mark.parametrize("reason", ["", "a\0b", "lone \ud800", "\U0001f600", "x" * 100_000], ids=len)
async def test_reason_of_any_characters_can_be_stored(store, node, reason):
    expected = reason.replace("\0", "\ufffd").encode("utf-8", "replace").decode() or "cancelled on request"
    waiting = await add_one(store, new_job(delay=SECOND))
    await amend_one(store, waiting, cancelling(reason))
    assert (await store.get(waiting)).reason == expected
    job = await add_and_claim(store, node, new_job())
    await amend_one(store, job.id, cancelling(reason or "because"))
    assert (await store.get(job.id)).reason == (expected if reason else "because")


async def test_changes_are_there_after_reopening(backend):
    async with opened(backend) as store:
        ids = list(await store.add([new_job(delay=SECOND) for _ in range(3)]))
        await amend_one(store, ids[0], cancelling())
        await amend_one(store, ids[1], revising(b'{"priority":7,"tags":{"a":"b"}}'))
        await amend_one(store, ids[2], running_now)
        before = [await store.get(job_id) for job_id in ids]
    async with opened(backend) as store:
        assert [await store.get(job_id) for job_id in ids] == before
        assert await store.counts() == backend.recount()
