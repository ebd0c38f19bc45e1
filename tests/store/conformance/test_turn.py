import asyncio

import msgspec
import pytest

from queue_server.domain.job import decode_plan
from queue_server.domain.lifecycle import decide
from queue_server.domain.outcome import FAILED, SUCCEEDED, TIMED_OUT, OutcomeKind, Output, Timings
from queue_server.domain.retry import Retry
from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.contract import Claim
from tests.builders.jobs import HTTP, NOW, SECOND, decided, job, moment, new_job, outcome, output, plan, stale
from tests.builders.stores import ALL_SLOTS, add_and_claim, add_one, claim, claim_all

RETRY = Retry(max_attempts=3, backoff="fixed", min_delay=10, jitter=0)
CANCELLED = OutcomeKind.CANCELLED

WAYS = {
    "completed": (SUCCEEDED, {}, State.COMPLETED),
    "failed": (FAILED, {}, State.FAILED),
    "failed with a retry left": (FAILED, {"retry": RETRY}, State.SCHEDULED),
    "timed out": (TIMED_OUT, {}, State.FAILED),
    "cancelled": (CANCELLED, {}, State.CANCELLED),
    "interrupted": (OutcomeKind.INTERRUPTED, {}, State.AVAILABLE),
    "lost": (OutcomeKind.LEASE_EXPIRED, {}, State.AVAILABLE),
    "put off": (OutcomeKind.SNOOZED, {}, State.AVAILABLE),
}


async def in_state(store, node, state: State, **members):
    """A job in this state, as `decide` sees it."""
    if state is State.SCHEDULED:
        job_id = await add_one(store, new_job(delay=SECOND, **members))
    elif state is State.AVAILABLE:
        job_id = await add_one(store, new_job(**members))
    else:
        running = await add_and_claim(store, node, new_job(**members))
        kind = {State.COMPLETED: SUCCEEDED, State.FAILED: FAILED, State.CANCELLED: CANCELLED}.get(state)
        if kind is None:
            return running
        assert (await store.turn([decided(running, kind)], None)).applied[0]
        job_id = running.id
    record = await store.get(job_id)
    assert record.state is state
    return job(state, id=job_id, claim_seq=record.claim_seq, attempt=record.attempt, plan=plan(**members))


@pytest.mark.parametrize("way", WAYS)
async def test_running_job_becomes_what_was_decided(store, node, way, backend):
    kind, members, state = WAYS[way]
    about = await add_and_claim(store, node, new_job(**members))
    transition = decided(about, kind, exit_code=5, error="why")
    assert transition.state is state
    assert list((await store.turn([transition], None)).applied) == [True]
    record = await store.get(about.id)
    assert (record.state, record.reason, record.ended_at) == (state, transition.reason, transition.ended_at)
    assert record.run_at == (about.created_at if transition.run_at is None else transition.run_at)
    assert (record.outcome, record.exit_code, record.error) == (kind, 5, transition.attempt.error)
    assert record.node_id is None
    assert await store.counts() == backend.recount()
    (attempt,) = await store.attempts(about.id)
    assert attempt == msgspec.structs.replace(transition.attempt, output=Output())


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", OutcomeKind)
async def test_every_state_and_outcome_leaves_the_job_as_decided(store, node, state, kind, backend):
    about = await in_state(store, node, state)
    before, counts = await store.get(about.id), await store.counts()
    transition = decide(about, outcome(kind), moment())
    turn = await store.turn([transition], None)
    after = await store.get(about.id)
    assert after.state is transition.state
    assert list(turn.applied) == [not transition.changes_nothing]
    if transition.changes_nothing:
        assert after == before
        assert await store.counts() == counts
    assert await store.counts() == backend.recount()


@pytest.mark.parametrize("state", FINAL_STATES)
async def test_ended_job_keeps_its_end_whatever_comes_later(store, node, state):
    about = await in_state(store, node, state)
    before = await store.get(about.id)
    as_it_ran = msgspec.structs.replace(about, state=State.RUNNING)
    late = [decide(as_it_ran, outcome(kind), moment(NOW + 5)) for kind in OutcomeKind]
    assert not any((await store.turn(late, None)).applied)
    assert await store.get(about.id) == before
    assert len(await store.attempts(about.id)) == 1


@pytest.mark.parametrize(
    "difference", [{"claim_seq": 0}, {"claim_seq": 2}, {"from_state": State.AVAILABLE}, {"job_id": 999_999}], ids=str
)
async def test_stale_transition_writes_nothing_at_all(store, node, difference, backend):
    about = await add_and_claim(store, node, new_job(callback_done=HTTP))
    before = await store.get(about.id)
    turn = await store.turn([stale(decided(about), **difference)], Claim(node.id, ALL_SLOTS, NOW))
    assert list(turn.applied) == [False]
    assert turn.claimed.jobs == ()
    assert await store.get(about.id) == before
    assert list(await store.attempts(about.id)) == []
    assert sum(backend.recount().values()) == 1


async def test_second_completion_of_a_claim_is_stale_in_another_turn(store, node, backend):
    about = await add_and_claim(store, node, new_job(callback_done=HTTP))
    assert list((await store.turn([decided(about)], None)).applied) == [True]
    assert list((await store.turn([decided(about, FAILED)], None)).applied) == [False]
    await _ended_once(store, about.id, backend)


@pytest.mark.parametrize("others", [0, 70])
async def test_second_completion_of_a_claim_is_stale_in_the_same_turn(store, node, backend, others):
    about = await add_and_claim(store, node, new_job(callback_done=HTTP))
    await store.add([new_job() for _ in range(others)])
    between = [decided(other) for other in await claim_all(store, node)]
    turn = await store.turn([decided(about), *between, decided(about, FAILED)], None)
    assert list(turn.applied) == [True, *[True] * others, False]
    await _ended_once(store, about.id, backend, others)


async def test_second_completion_is_stale_in_a_turn_at_the_same_time(store, node, runner, backend):

    about = await add_and_claim(store, node, new_job(callback_done=HTTP))
    turns = await asyncio.gather(*(store.turn([decided(about)], None) for _ in range(5)))
    assert [turn.applied[0] for turn in turns] == [True, False, False, False, False]
    await _ended_once(store, about.id, backend)


async def _ended_once(store, job_id, backend, others=0):
    assert (await store.get(job_id)).state is State.COMPLETED
    assert len(await store.attempts(job_id)) == 1
    assert backend.recount() == dict.fromkeys(State, 0) | {State.COMPLETED: 1 + others, State.AVAILABLE: 1}
    assert await store.counts() == backend.recount()


async def test_claim_that_was_lost_never_overwrites_the_next_one(store, node):
    first = await add_and_claim(store, node, new_job(retry=RETRY))
    lost = decided(first, OutcomeKind.LEASE_EXPIRED)
    await store.turn([lost], None)
    (second,) = await claim(store, node)
    assert (second.id, second.claim_seq, second.attempt, second.refunded, second.losses) == (first.id, 2, 2, 1, 1)
    assert list((await store.turn([decided(first)], None)).applied) == [False]
    assert (await store.get(first.id)).state is State.RUNNING
    assert list((await store.turn([decided(second, FAILED)], None)).applied) == [True]
    assert [attempt.outcome for attempt in await store.attempts(first.id)] == [OutcomeKind.LEASE_EXPIRED, FAILED]


async def test_flags_are_in_the_order_of_the_transitions(store, node):
    await store.add([new_job() for _ in range(100)])
    jobs = await claim_all(store, node)
    transitions = [decided(one) if n % 3 else stale(decided(one)) for n, one in enumerate(jobs)]
    assert list((await store.turn(transitions, None)).applied) == [n % 3 != 0 for n in range(100)]


async def test_turn_ends_jobs_before_it_claims(store, node):
    """Its callback, the job that comes back and what was added before are all there to be taken."""
    ended = await add_and_claim(store, node, new_job(callback_done=HTTP))
    back = await add_and_claim(store, node, new_job())
    transitions = [decided(ended), decided(back, OutcomeKind.INTERRUPTED)]
    turn = await store.turn(transitions, Claim(node.id, ALL_SLOTS, NOW))
    assert list(turn.applied) == [True, True]
    assert {one.id for one in turn.claimed.jobs} == {back.id, ended.id + 2}
    callback = next(one for one in turn.claimed.jobs if one.id != back.id)
    assert callback.plan.report.job_id == ended.id


async def test_callback_is_added_exactly_with_the_end(store, node):
    about = await add_and_claim(store, node, new_job(callback_done=HTTP, context="app", priority=700))
    transition = decided(about, FAILED, exit_code=500, error="HTTP 500", output=Output(text=b"why"))
    await store.turn([transition], None)
    (callback,) = await claim(store, node)
    assert callback.plan == decode_plan(transition.callbacks[0].payload)
    assert (callback.context, callback.priority) == ("app", 700)
    assert (await store.get(callback.id)).parent_id == about.id
    await store.turn([decided(callback)], None)
    assert await claim(store, node) == ()


async def test_nothing_to_do_is_a_turn_too(store):
    turn = await store.turn((), None)
    assert (list(turn.applied), turn.claimed.jobs) == ([], ())


NASTY = ["", "a\0b", "\0" * 100, "lone \ud800 and \udfff", "\ufeff\u2028\U0001f600", "'; drop table job", "x" * 100_000]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
async def test_error_of_any_characters_can_be_stored(store, node, text):
    """NUL bytes in an error froze others; each character is kept or replaced, and nothing else is lost."""
    about = await add_and_claim(store, node, new_job(callback_done=HTTP))
    assert list((await store.turn([decided(about, FAILED, error=text)], None)).applied) == [True]
    (attempt,) = await store.attempts(about.id)
    record = await store.get(about.id)
    expected = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    assert attempt.error == record.error == expected
    assert record.reason == (expected or "failed")
    (callback,) = await claim(store, node)
    assert callback.plan.report.error is not None


OUTPUTS = {
    "none": Output(),
    "binary": Output(text=bytes(range(256)), error_text=b"\xff\0\xfe", head=b"X: \xe4\r\n", size=256, error_size=3),
    "16 KiB": output(16 * 1024),
    "16 KiB + 1": output(16 * 1024 + 1, b"\xff"),
    "1 MiB": output(1024 * 1024, b"\0ab\xc3"),
    "cut": Output(text=b"first...last", size=10 * 2**30),
}


@pytest.mark.parametrize("kind", OUTPUTS)
async def test_output_comes_back_byte_for_byte(store, node, kind):
    about = await add_and_claim(store, node, new_job())
    await store.turn([decided(about, output=OUTPUTS[kind])], None)
    assert await store.output(about.id) == OUTPUTS[kind]
    assert await store.output(about.id, 1) == OUTPUTS[kind]
    (attempt,) = await store.attempts(about.id)
    sizes = Output(size=OUTPUTS[kind].size, error_size=OUTPUTS[kind].error_size)
    assert attempt.output == sizes, "of the output only its size is read"


async def test_attempt_is_recorded_with_when_it_was_due_and_how_long_its_parts_took(store, node):
    for timings in (Timings(), Timings(0, 5), Timings(1_000, 2**40), Timings(7, None)):
        about = await add_and_claim(store, node, new_job(delay=-SECOND))
        await store.turn([decided(about, timings=timings)], None)
        (attempt,) = await store.attempts(about.id)
        assert (attempt.due_at, attempt.timings) == (NOW - SECOND, timings)


async def test_outputs_of_all_sizes_share_a_turn(store, node):
    await store.add([new_job() for _ in OUTPUTS])
    jobs = await claim_all(store, node)
    await store.turn([decided(one, output=what) for one, what in zip(jobs, OUTPUTS.values(), strict=True)], None)
    assert [await store.output(one.id) for one in jobs] == list(OUTPUTS.values())


async def test_impossible_transition_fails_alone(store, node):

    await store.add([new_job() for _ in range(5)])
    jobs = await claim_all(store, node)
    changes = [decided(one) for one in jobs]
    impossible = msgspec.structs.replace(changes[2].attempt, exit_code=2**70)
    changes[2] = msgspec.structs.replace(changes[2], attempt=impossible)
    turns = await asyncio.gather(*(store.turn([change], None) for change in changes), return_exceptions=True)
    assert [isinstance(turn, Exception) for turn in turns] == [False, False, True, False, False]
    assert (await store.get(jobs[2].id)).state is State.RUNNING
    assert (await store.counts())[State.COMPLETED] == 4
