"""Idempotency keys: whoever comes again with one gets the job that it stands for."""

import asyncio

import pytest

from queue_server.domain.errors import InvalidJob, JobDeleted, KeyMismatch
from queue_server.domain.outcome import SUCCEEDED
from queue_server.domain.state import FINAL_STATES, State
from queue_server.domain.wishes import remove
from tests.builders.jobs import NOW, SECOND, new_job, once
from tests.builders.stores import add_and_claim, add_and_end, add_one, all_jobs, amend_one, claim_all, opened


def keyed(key: str, ask: bytes = b"this", **members):
    """A job with an idempotency key; `members` are the key's, or else the job's."""
    of_key = {name: members.pop(name) for name in ("scope", "until") if name in members}
    return new_job(once=once(key, ask, **of_key), **members)


async def test_new_key_adds_its_job(store, backend):
    plain = await add_one(store, new_job())
    added = await store.add_once([keyed("k", context="app", tags={"a": "b"}, queue="q")])
    assert (list(added.ids), added.replayed) == ([plain + 1], frozenset())
    record = await store.get(plain + 1)
    assert (record.context, record.queue, record.state) == ("app", "q", State.AVAILABLE)
    assert await store.counts() == backend.recount()
    assert await store.last_id() == plain + 1


async def test_known_key_stands_for_its_job_and_adds_nothing(store, backend):
    first = await store.add_once([keyed("k")])
    again = await store.add_once([keyed("k")])
    assert (again.ids, again.replayed) == (first.ids, frozenset({0}))
    assert sum(backend.recount().values()) == backend.keys() == 1
    assert await store.last_id() == first.ids[0], "no id was used up"


async def test_known_key_stands_for_a_job_that_runs(store, node):
    job = await add_and_claim(store, node, keyed("k"))
    again = await store.add_once([keyed("k")])
    assert list(again.ids) == [job.id]


async def test_key_of_another_job_is_refused_with_nothing_stored(store, backend):
    (job_id,) = (await store.add_once([keyed("k")])).ids
    with pytest.raises(KeyMismatch) as caught:
        await store.add_once([new_job(), keyed("new"), keyed("k", b"that")])
    assert (caught.value.key, caught.value.job_id) == ("k", job_id)
    assert [job.id for job in await all_jobs(store)] == [job_id]
    assert await store.counts() == backend.recount()
    assert backend.keys() == 1
    assert list((await store.add_once([keyed("new")])).ids) == [job_id + 1]


async def test_key_of_a_job_that_is_gone_is_refused(store, node, backend):
    job_id = await add_and_end(store, node, keyed("k"), SUCCEEDED)
    await amend_one(store, job_id, remove)
    with pytest.raises(JobDeleted, match=f"job {job_id} of this idempotency key has ended and been deleted"):
        await store.add_once([keyed("other"), keyed("k")])
    with pytest.raises(KeyMismatch):
        await store.add_once([keyed("k", b"that")])
    assert sum(backend.recount().values()) == 0


async def test_key_of_a_job_whose_retention_is_over_is_refused_too(store, node):
    await add_and_end(store, node, keyed("k"), SUCCEEDED)
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW + 1), NOW, 100) == 1
    with pytest.raises(JobDeleted):
        await store.add_once([keyed("k")])


async def test_scopes_keep_keys_apart(store):
    one = await store.add_once([keyed("k", scope="one")])
    other = await store.add_once([keyed("k", b"that", scope="other")])
    assert one.ids != other.ids
    assert (await store.add_once([keyed("k", scope="one")])).ids == one.ids


@pytest.mark.parametrize("key", ["K", "k ", "k\0", "k\0" + "0", "ä", "\U0001f600", "x" * 255, "'; drop table once"])
async def test_keys_are_the_same_only_letter_by_letter(store, key):
    plain = await store.add_once([keyed("k")])
    assert (await store.add_once([keyed(key)])).ids != plain.ids
    assert (await store.add_once([keyed(key)])).replayed == {0}


async def test_key_is_known_after_reopening(backend):
    async with opened(backend) as store:
        first = await store.add_once([keyed("k")])
    async with opened(backend) as store:
        assert (await store.add_once([keyed("k")])).ids == first.ids
        with pytest.raises(KeyMismatch):
            await store.add_once([keyed("k", b"that")])


# Batches.


async def test_batch_without_keys_is_added_like_any_other(store):
    added = await store.add_once([new_job(context=str(n)) for n in range(3)])
    assert added.replayed == frozenset()
    assert [(await store.get(job_id)).context for job_id in added.ids] == ["0", "1", "2"]
    assert (await store.add_once([])).ids == []


async def test_batch_of_known_and_new_keys_has_its_ids_in_order(store, backend):
    old = await store.add_once([keyed("a"), keyed("b")])
    added = await store.add_once([new_job(context="0"), keyed("b"), keyed("c"), keyed("a"), new_job(context="4")])
    assert added.replayed == {1, 3}
    assert [added.ids[1], added.ids[3]] == old.ids[::-1]
    assert [added.ids[0], added.ids[2], added.ids[4]] == [3, 4, 5]
    assert [(await store.get(added.ids[place])).context for place in (0, 4)] == ["0", "4"]
    assert sum(backend.recount().values()) == 5


async def test_duplicates_within_a_batch_share_one_job(store, backend):
    added = await store.add_once([keyed("k"), new_job(), keyed("k"), keyed("other"), keyed("k")])
    assert added.ids == [1, 2, 1, 3, 1]
    assert added.replayed == {2, 4}
    assert sum(backend.recount().values()) == 3
    assert (await store.add_once([keyed("k"), keyed("k")])).ids == [1, 1]


async def test_key_for_two_different_jobs_of_a_batch_is_refused_with_nothing_stored(store, backend):
    with pytest.raises(InvalidJob) as caught:
        await store.add_once([new_job(), keyed("k"), keyed("k", b"that")])
    (problem,) = caught.value.problems
    assert problem.path == "/2/idempotency_key"
    assert problem.message == "was given to job 1 of this batch, which is a different one"
    assert sum(backend.recount().values()) == backend.keys() == 0


async def test_large_batch_of_keys_is_replayed_as_a_whole(store, backend):
    jobs = [keyed(f"k{n}", str(n).encode()) for n in range(2000)]
    first = await store.add_once(jobs)
    assert first.ids == list(range(1, 2001))
    again = await store.add_once(jobs)
    assert again.ids == first.ids
    assert again.replayed == set(range(2000))
    assert sum(backend.recount().values()) == backend.keys() == 2000


async def test_impossible_job_is_not_kept_by_its_key(store, backend):
    with pytest.raises(Exception, match="can't be stored"):
        await store.add_once([keyed("good"), keyed("k", context="\ud800")])
    assert backend.keys() == sum(backend.recount().values()) == 0
    assert (await store.add_once([keyed("k")])).replayed == frozenset()


# Many at the same time.


async def test_thousand_who_come_with_one_key_at_once_get_one_job(store, node, backend):
    added = await asyncio.gather(*(store.add_once([keyed("k")]) for _ in range(1000)))
    assert len({one.ids[0] for one in added}) == 1
    assert sum(not one.replayed for one in added) == 1, "one of them added it"
    assert sum(backend.recount().values()) == backend.keys() == 1
    assert len(await claim_all(store, node)) == 1


async def test_plain_and_keyed_jobs_of_one_group_do_not_disturb_each_other(store, node, backend):
    async def plain(n: int) -> list[int]:
        return list(await store.add([new_job(context=f"plain {n}")] * 2))

    async def once_(n: int) -> list[int]:
        return list((await store.add_once([keyed(f"k{n % 10}", context=f"keyed {n % 10}"), new_job()])).ids)

    async def refused(n: int) -> list[int]:
        with pytest.raises(KeyMismatch):
            await store.add_once([new_job(context="refused"), keyed(f"k{n % 10}", b"that")])
        return []

    await asyncio.gather(*(once_(n) for n in range(10)))
    works = [(plain, once_, refused)[n % 3](n) for n in range(300)]
    results = await asyncio.gather(*works)
    for n, ids in enumerate(results):
        if n % 3 == 0:
            assert [(await store.get(job_id)).context for job_id in ids] == [f"plain {n}"] * 2
        elif n % 3 == 1:
            assert (await store.get(ids[0])).context == f"keyed {n % 10}"
    assert sum(backend.recount().values()) == 10 + 10 + 200 + 100
    assert await store.counts() == backend.recount()
    assert "refused" not in {job.context for job in await all_jobs(store)}
    taken = await claim_all(store, node)
    assert len({job.id for job in taken}) == len(taken) == 320


async def test_arrival_is_told_of_a_new_job_and_not_of_a_known_one(store):
    heard = []
    store.on_arrival(heard.append)
    await store.add_once([keyed("k", delay=5 * SECOND)])
    assert heard == [NOW + 5 * SECOND]
    await store.add_once([keyed("k", delay=5 * SECOND)])
    assert len(heard) == 1


# How long keys are kept.


async def test_key_is_kept_until_its_time_and_not_longer(store, backend):
    first = await store.add_once([keyed("k", until=NOW)])
    assert await store.purge({}, NOW, 100) == 0
    assert (await store.add_once([keyed("k", b"this")])).ids == first.ids
    assert await store.purge({}, NOW + 1, 100) == 1
    assert backend.keys() == 0
    assert (await store.add_once([keyed("k", b"that")])).ids == [2]
    assert await store.get(1) is not None, "a forgotten key takes no job with it"


async def test_keys_are_forgotten_in_pages(store, backend):
    await store.add_once([keyed(f"k{n}", until=NOW - n) for n in range(5)])
    pages = []
    while count := await store.purge({}, NOW + 1, 2):
        pages.append(count)
    assert pages == [2, 2, 1]
    assert backend.keys() == 0


async def test_key_of_a_deleted_job_is_kept_until_its_time(store, node, backend):
    await add_and_end(store, node, keyed("k"), SUCCEEDED)
    assert await store.purge(dict.fromkeys(FINAL_STATES, NOW + 1), NOW, 100) == 1
    assert backend.keys() == 1
    with pytest.raises(JobDeleted):
        await store.add_once([keyed("k")])
