"""How many jobs of each context wait, through all that can become of a job."""

from collections import Counter

import pytest

from queue_server.domain.errors import KeyMismatch, StoreError
from queue_server.domain.outcome import FAILED, SUCCEEDED
from queue_server.domain.retry import Retry
from queue_server.domain.state import WAITING_STATES, State
from queue_server.store.contract import Store
from tests.builders.jobs import HTTP, NOW, SECOND, decided, new_job, once
from tests.builders.rules import cancelling, removing, retrying, revising
from tests.builders.stores import add_and_claim, add_and_end, all_jobs, amend_one, claim, opened


async def assert_is_right(store: Store, *contexts: str) -> None:
    """What the store says of these contexts is what a list of all jobs says."""
    waiting = Counter(job.context for job in await all_jobs(store) if job.state in WAITING_STATES)
    assert {one: await store.waiting_in(one, 1000) for one in contexts} == {one: waiting[one] for one in contexts}


async def test_they_are_not_counted_before_somebody_wants_it(store):
    await store.add([new_job()])
    with pytest.raises(StoreError, match="not counted"):
        await store.waiting_in("default", 1000)


async def test_jobs_that_were_there_before_are_counted(store, node):
    await add_and_claim(store, node, new_job(context="a"))
    await store.add([new_job(context=one, delay=delay) for one in "aab" for delay in (0, SECOND)])
    await store.count_contexts()
    assert [await store.waiting_in(one, 1000) for one in "abc"] == [4, 2, 0]


async def test_counting_twice_counts_once(store):
    await store.count_contexts()
    await store.add([new_job()])
    await store.count_contexts()
    assert await store.waiting_in("default", 1000) == 1
    await store.add([new_job()])
    assert await store.waiting_in("default", 1000) == 2


async def test_counts_are_the_same_after_a_restart(backend):
    async with opened(backend) as store:
        await store.count_contexts()
        await store.add([new_job(context=one) for one in "aab"])
        before = [await store.waiting_in(one, 1000) for one in "ab"]
    async with opened(backend) as store:
        await store.count_contexts()
        assert [await store.waiting_in(one, 1000) for one in "ab"] == before == [2, 1]
        await store.add([new_job(context="b")])
        assert await store.waiting_in("b", 1000) == 2


async def test_becoming_due_changes_nothing_and_a_claim_takes_away(store, node):
    await store.count_contexts()
    await store.add([new_job(context="a", delay=SECOND)] * 3)
    assert await store.waiting_in("a", 1000) == 3
    assert len(await claim(store, node, now=NOW + SECOND)) == 3
    assert await store.waiting_in("a", 1000) == 0


async def test_failed_attempt_with_another_to_come_waits_again(store, node):
    await store.count_contexts()
    job = await add_and_claim(store, node, new_job(context="a", retry=Retry(max_attempts=2)))
    await store.turn([decided(job, FAILED)], None)
    assert await store.waiting_in("a", 1000) == 1
    await store.turn([decided(job, FAILED)], None)  # stale
    await assert_is_right(store, "a")


async def test_callback_waits_in_its_context(store, node):
    await store.count_contexts()
    await add_and_end(store, node, new_job(context="a", callback_done=HTTP), SUCCEEDED)
    assert await store.waiting_in("a", 1000) == 1
    await assert_is_right(store, "a")


async def test_cancelled_retried_changed_and_deleted_jobs_are_counted(store, node):
    await store.count_contexts()
    one, two, three = await store.add([new_job(context="a")] * 3)
    await amend_one(store, one, cancelling())
    assert await store.waiting_in("a", 1000) == 2
    await amend_one(store, one, retrying())
    assert await store.waiting_in("a", 1000) == 3
    await amend_one(store, two, revising(b'{"context": "b"}'))
    assert [await store.waiting_in(context, 1000) for context in "ab"] == [2, 1]
    await amend_one(store, two, revising(b'{"priority": 9}'))
    assert [await store.waiting_in(context, 1000) for context in "ab"] == [2, 1]
    await store.amend([one, three], cancelling())
    await store.amend([one, two, three], removing)
    await assert_is_right(store, "a", "b")


async def test_refused_and_replayed_adds_are_not_counted(store):
    await store.count_contexts()
    await store.add_once([new_job(context="a", once=once("k"))])
    await store.add_once([new_job(context="a", once=once("k"))])
    with pytest.raises(KeyMismatch):
        await store.add_once([new_job(context="a"), new_job(context="a", once=once("k", b"that"))])
    assert await store.waiting_in("a", 1000) == 1


async def test_what_fails_is_not_counted(store):
    await store.count_contexts()
    with pytest.raises(StoreError):
        await store.add([new_job(context="a"), new_job(context="a", type="neither")])
    assert await store.waiting_in("a", 1000) == 0
    await store.add([new_job(context="a")])
    assert await store.waiting_in("a", 1000) == 1


async def test_purge_changes_nothing(store, node):
    await store.count_contexts()
    await add_and_end(store, node, new_job(context="a"), SUCCEEDED)
    await store.add([new_job(context="a")])
    assert await store.purge({State.COMPLETED: NOW + SECOND}, NOW + SECOND, 100)
    assert await store.waiting_in("a", 1000) == 1
