"""Jobs that have not started in time: they never start, and are found to be ended."""

import asyncio

import pytest

from queue_server.domain.job import Job
from queue_server.domain.lifecycle import decide, overdue
from queue_server.domain.outcome import FAILED, OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.domain.state import State
from queue_server.store.contract import Claim, Slots, Turn
from tests.builders.jobs import DAY, EXEC, HTTP, NOW, SECOND, decided, moment, new_job
from tests.builders.rules import revising
from tests.builders.stores import ALL_SLOTS, add_and_claim, add_one, amend_one, claim, opened


async def take(store, node, now: int = NOW, slots: Slots = ALL_SLOTS) -> Turn:
    """A turn that only claims."""
    return await store.turn((), Claim(node.id, slots, now))


async def end(store, jobs, now: int = NOW) -> list[bool]:
    """Have these overdue jobs ended."""
    return list((await store.turn([decide(job, overdue(job, now), moment(now)) for job in jobs], None)).applied)


@pytest.mark.parametrize("limit", ["expires_at", "deadline"])
async def test_overdue_job_is_not_started_but_ended_with_its_callback(store, node, backend, limit):
    job_id = await add_one(store, new_job(callback_failed=HTTP, retention=5, **{limit: NOW}))
    turn = await take(store, node)
    assert turn.claimed.jobs == ()
    (late,) = turn.claimed.overdue
    assert (late.id, late.state, late.claim_seq, late.attempt) == (job_id, State.AVAILABLE, 0, 0)
    assert getattr(late.plan, limit) == NOW
    record = await store.get(job_id)
    assert (record.state, record.claim_seq, record.attempt, record.node_id) == (State.AVAILABLE, 0, 0, None)
    assert await end(store, [late]) == [True]
    record = await store.get(job_id)
    assert (record.state, record.overdue_at, record.keep_until) == (State.FAILED, None, NOW + 5 * SECOND)
    assert "2025-11-24T09:30:00.000000Z" in record.reason
    assert list(await store.attempts(job_id)) == []
    (callback,) = await claim(store, node)
    assert callback.plan.report.job_id == job_id
    assert await store.counts() == backend.recount()


async def test_job_starts_until_the_last_moment_and_is_not_overdue_once_it_has_started(store, node):
    job_id = await add_one(store, new_job(expires_at=NOW, deadline=NOW + SECOND))
    turn = await take(store, node, NOW - 1)
    assert [job.id for job in turn.claimed.jobs] == [job_id]
    assert turn.claimed.overdue == ()
    assert (await store.get(job_id)).overdue_at is None
    assert list(await store.overdue(NOW + DAY, 10)) == []


async def test_overdue_jobs_hold_up_none_of_those_behind_them(store, node):
    """They take places of the claim in which they are found, and no more once they have ended."""
    late = list(await store.add([new_job(priority=900, expires_at=NOW) for _ in range(5)]))
    good = await add_one(store, new_job())
    turn = await take(store, node, slots=Slots(3, 3, 3))
    assert [job.id for job in turn.claimed.overdue] == late[:3]
    assert turn.claimed.jobs == ()
    changes = [decide(job, overdue(job, NOW), moment()) for job in turn.claimed.overdue]
    turn = await store.turn(changes, Claim(node.id, Slots(3, 3, 3), NOW))
    assert list(turn.applied) == [True] * 3
    assert [job.id for job in turn.claimed.overdue] == late[3:]
    assert [job.id for job in turn.claimed.jobs] == [good]


async def test_claim_takes_what_is_left_of_a_page_with_overdue_jobs(store, node, backend):
    ids = list(await store.add([new_job(EXEC if n % 3 else HTTP, expires_at=NOW + n % 2) for n in range(40)]))
    turn = await take(store, node)
    assert [job.id for job in turn.claimed.overdue] == ids[::2]
    assert [job.id for job in turn.claimed.jobs] == ids[1::2]
    assert all(job.state is State.RUNNING for job in turn.claimed.jobs)
    assert await store.counts() == backend.recount()


@pytest.mark.parametrize("delay", [0, -SECOND, DAY])
async def test_overdue_jobs_are_found_whether_they_are_due_or_not(store, delay):
    job_id = await add_one(store, new_job(delay=delay, expires_at=NOW, tags={"a": "b"}, queue="q", key="k"))
    assert list(await store.overdue(NOW - 1, 10)) == []
    (late,) = await store.overdue(NOW, 10)
    assert (late.id, late.state) == (job_id, State.SCHEDULED if delay > 0 else State.AVAILABLE)
    assert (late.queue, late.key, late.plan.tags, late.is_cancel_wished) == ("q", "k", {"a": "b"}, False)
    assert await end(store, [late]) == [True]
    assert list(await store.overdue(NOW + DAY, 10)) == []
    assert (await store.get(job_id)).state is State.FAILED


async def test_job_without_limits_is_never_overdue(store, node):
    await add_and_claim(store, node, new_job())
    await store.add([new_job(), new_job(delay=SECOND)])
    assert list(await store.overdue(NOW + 10_000 * DAY, 10)) == []


async def test_overdue_jobs_are_found_in_pages_the_longest_overdue_first(store, backend):
    ids = list(await store.add([new_job(delay=n % 2 * DAY, expires_at=NOW - n) for n in range(7)]))
    found: list[Job] = []
    while page := await store.overdue(NOW, 3):
        found += page
        assert await end(store, page) == [True] * len(page)
    assert [job.id for job in found] == ids[::-1]
    assert await store.counts() == backend.recount() == dict.fromkeys(State, 0) | {State.FAILED: 7}


async def test_overdue_scheduled_job_leaves_the_next_due_time(store, node):
    await store.add([new_job(delay=SECOND, expires_at=NOW), new_job(delay=5 * SECOND)])
    await end(store, await store.overdue(NOW, 10))
    assert (await take(store, node)).claimed.next_due == NOW + 5 * SECOND


async def test_job_that_waits_for_its_next_attempt_is_overdue_at_its_deadline_only(store, node):
    retry = Retry(5, "fixed", 1.0, jitter=0)
    job = await add_and_claim(store, node, new_job(retry=retry, expires_at=NOW + 1, deadline=NOW + 2 * SECOND))
    await store.turn([decided(job, FAILED)], None)
    record = await store.get(job.id)
    assert (record.state, record.overdue_at) == (State.SCHEDULED, NOW + 2 * SECOND)
    (again,) = await claim(store, node, now=NOW + SECOND)
    await store.turn([decided(again, OutcomeKind.INTERRUPTED, now=NOW + SECOND)], None)
    assert list(await store.overdue(NOW + 2 * SECOND - 1, 10)) == []
    (late,) = await store.overdue(NOW + 2 * SECOND, 10)
    assert (late.attempt, late.claim_seq, late.state) == (2, 2, State.AVAILABLE)
    assert await end(store, [late], NOW + 2 * SECOND) == [True]
    assert "its deadline" in (await store.get(job.id)).reason


async def test_limit_that_is_moved_counts_from_then_on(store, node):
    job_id = await add_one(store, new_job(expires_at=NOW))
    await amend_one(store, job_id, revising(b'{"ttl":5}', now=NOW - SECOND))
    assert list(await store.overdue(NOW + 4 * SECOND - 1, 10)) == []
    assert len(await store.overdue(NOW + 4 * SECOND, 10)) == 1
    await amend_one(store, job_id, revising(b'{"ttl":null}'))
    assert list(await store.overdue(NOW + DAY, 10)) == []
    assert len((await take(store, node, NOW + DAY)).claimed.jobs) == 1


async def test_overdue_jobs_are_known_after_reopening(backend):
    async with opened(backend) as store:
        await store.add([new_job(expires_at=NOW), new_job(delay=DAY, deadline=NOW)])
    async with opened(backend) as store:
        node = await store.register("here", 1, NOW)
        assert len(await store.overdue(NOW, 10)) == 2
        assert (await take(store, node)).claimed.jobs == ()


async def test_overdue_job_whose_plan_cannot_be_read_blocks_no_other(store, node):
    await store.add([new_job(payload=b"\xff\0", overdue_at=NOW), new_job(expires_at=NOW), new_job()])
    turn = await take(store, node)
    assert [job.id for job in turn.claimed.overdue] == [1, 2]
    assert [job.id for job in turn.claimed.jobs] == [3]
    assert await end(store, await store.overdue(NOW, 10)) == [True, True]
    assert (await store.get(1)).reason == "not started in time"


async def test_sweeper_and_claims_end_each_overdue_job_once(store, node, backend):
    await store.add([new_job(expires_at=NOW, callback_done=HTTP) for _ in range(100)])

    async def sweep() -> None:
        while jobs := await store.overdue(NOW, 7):
            await end(store, jobs)

    async def work() -> None:
        while jobs := (await take(store, node, slots=Slots(10, 10, 10))).claimed.overdue:
            await end(store, jobs)

    await asyncio.gather(sweep(), work(), sweep(), work())
    counts = await store.counts()
    assert counts == backend.recount()
    assert counts[State.FAILED] == 100
    assert counts[State.AVAILABLE] + counts[State.RUNNING] == 100, "their callbacks"
