"""Lists show the jobs of a filter, in their order, each of them once."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_server.domain.outcome import FAILED
from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.contract import EVERY_JOB, IdPage, JobFilter, JobPage, JobQuery, Order, Position
from tests.builders.jobs import EXEC, NOW, SECOND, decided, new_job
from tests.builders.lists import CONTEXTS, END, KEYS, expected, filters, listed, pages, populated
from tests.builders.properties import limits
from tests.builders.stores import claim, claim_all

SINGLE: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    **{state: {"states": (state,)} for state in State},
    "final": {"states": FINAL_STATES},
    "waiting": {"states": (State.AVAILABLE, State.SCHEDULED)},
    "all states": {"states": tuple(State)},
    "http": {"type": "http"},
    "exec": {"type": "exec"},
    "default queue": {"queue": "default"},
    "a queue": {"queue": "mail"},
    "default context": {"context": "default"},
    "a context": {"context": CONTEXTS[3]},
    "a key": {"key": KEYS[2]},
    "a parent": {"parent_id": 2},
    "a tag": {"tags": {"customer": "o'neill"}},
    "an empty tag": {"tags": {"region": ""}},
    "two tags": {"tags": {"customer": "acme", "region": "eu"}},
    "created after": {"created_after": NOW + 60 * SECOND},
    "created before": {"created_before": NOW + 60 * SECOND},
    "created between": {"created_after": NOW + 30 * SECOND, "created_before": NOW + 90 * SECOND},
    "ended after": {"ended_after": END + 3 * SECOND},
    "ended before": {"ended_before": END + 3 * SECOND},
    "ids": {"ids": tuple(range(40, 0, -2))},
    "no ids": {"ids": ()},
    "a binding to a context": {"contexts": ("shop",)},
    "a binding to contexts": {"contexts": (CONTEXTS[3], "shop", "none")},
    "a binding to the default context and another": {"contexts": ("default", "shop")},
    "a binding to more contexts than are walked": {"contexts": ("shop", *map(str, range(40)))},
    "a binding to queues": {"queues": ("mail", "rare")},
    "a binding to nothing": {"queues": ()},
}

COMBINED: Mapping[str, Mapping[str, Any]] = {
    "queue and state": {"queue": "mail", "states": (State.FAILED,)},
    "tag and context": {"tags": {"customer": "acme"}, "context": "shop"},
    "key and times": {"key": KEYS[0], "created_after": NOW + 20 * SECOND, "ended_before": END + 5 * SECOND},
    "two bindings": {"contexts": ("shop", CONTEXTS[2]), "queues": ("default", "mail")},
    "a binding and a context of it": {"contexts": ("shop", "default"), "context": "shop"},
    "a binding and states": {"contexts": ("shop", CONTEXTS[2]), "states": FINAL_STATES},
    "a binding and ids": {"contexts": ("shop",), "ids": tuple(range(1, 200))},
    "ids and states": {"ids": tuple(range(1, 100)), "states": (State.COMPLETED, State.SCHEDULED)},
}


@pytest.fixture
def jobs(store, node, runner):
    """What is in the store, as the model has it."""
    return runner.run(populated(store, node))


@pytest.mark.parametrize("order", Order)
async def test_pages_of_every_filter_are_those_of_the_model(store, jobs, order):
    for name, members in {**SINGLE, **COMBINED}.items():
        wanted = JobFilter(**members)
        for limit in (7, 1000):
            found = await listed(store, JobQuery(filter=wanted, order=order, limit=limit))
            assert found == expected(jobs, wanted, order), (name, limit)


async def test_model_has_jobs_for_every_filter(jobs):
    for name, members in {**SINGLE, **COMBINED}.items():
        assert name in ("no ids", "a binding to nothing") or expected(jobs, JobFilter(**members), Order.NEWEST), name


@pytest.mark.timeout(900)
@pytest.mark.parametrize("examples", [60, pytest.param(3000, marks=pytest.mark.long)])
def test_pages_of_any_filter_are_those_of_the_model(store, jobs, runner, examples):
    @limits(examples)
    @given(filters, st.sampled_from(Order), st.integers(1, 30))
    def check(wanted, order, limit):
        found = runner.run(listed(store, JobQuery(filter=wanted, order=order, limit=limit)))
        assert found == expected(jobs, wanted, order)

    check()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("examples", [60, pytest.param(3000, marks=pytest.mark.long)])
def test_ids_of_any_filter_are_those_of_the_model(store, jobs, runner, examples):
    @limits(examples)
    @given(filters, st.integers(-1, 260), st.integers(-1, 260), st.integers(1, 30))
    def check(wanted, after, last, limit):
        found = runner.run(all_ids(store, wanted, after, last, limit))
        assert found == [id_ for id_ in expected(jobs, wanted, Order.OLDEST) if after < id_ <= last]

    check()


async def all_ids(store, wanted, after=0, last=2**63 - 1, limit=10):
    """The ids on all pages."""
    found = []
    while True:
        page = await store.find_ids(wanted, after=after, last=last, limit=limit)
        assert len(page.ids) <= limit
        found += page.ids
        if page.next_after is None:
            return found
        assert page.next_after > after
        after = page.next_after


async def test_jobs_are_shown_as_they_are_got_one_by_one(store, jobs):
    async for page in pages(store, JobQuery(limit=100)):
        for job in page:
            assert job == await store.get(job.id)


async def test_empty_store_has_no_jobs(store):
    for order in Order:
        assert await store.find(JobQuery(order=order)) == JobPage([], None)
    assert await store.find_ids(EVERY_JOB, after=0, last=100, limit=10) == IdPage([], None)


async def test_list_is_newest_first_and_limited(store):
    ids = list(await store.add([new_job() for _ in range(10)]))
    assert [job.id for job in (await store.find(JobQuery())).jobs] == ids[::-1]
    assert [job.id for job in (await store.find(JobQuery(limit=3))).jobs] == ids[:-4:-1]
    assert (await store.find(JobQuery(limit=10))).next is None
    assert (await store.find(JobQuery(limit=9))).next == Position(ids[1], ids[1])


@pytest.mark.parametrize("beyond", [2**53, 2**63 - 1, 2**63, 10**30])
async def test_positions_beyond_all_jobs_are_no_error(store, node, beyond):
    ids = list(await store.add([new_job(), new_job(delay=SECOND), new_job(EXEC)]))
    await store.turn([decided(job) for job in await claim_all(store, node)], None)
    after, before = Position(beyond, beyond), Position(-beyond, -beyond)
    assert await listed(store, JobQuery(after=after)) == ids[::-1]
    assert await listed(store, JobQuery(order=Order.OLDEST, after=before)) == ids
    assert await listed(store, JobQuery(order=Order.ENDED_LAST, after=after)) == [ids[2], ids[0]]
    assert await listed(store, JobQuery(order=Order.DUE, after=before)) == [ids[1]]
    for query in (JobQuery(after=before), JobQuery(order=Order.OLDEST, after=after)):
        assert await listed(store, query) == []
    for order in (Order.ENDED_FIRST, Order.DUE):
        assert await listed(store, JobQuery(order=order, after=after)) == []
    assert await all_ids(store, EVERY_JOB, after=-beyond, last=beyond) == ids


@pytest.mark.parametrize(
    "members",
    [
        {"context": "a\0b"},
        {"context": "\ud800"},
        {"key": "x" * 1_000_000},
        {"tags": {"\0": "\ud800"}},
        {"queue": ""},
        {"type": "ftp"},
        {"parent_id": 10**30},
        {"parent_id": -(10**30)},
        {"created_after": 10**30},
        {"ended_before": -(10**30)},
        {"ids": (10**30, -(10**30), 0)},
    ],
)
@pytest.mark.parametrize("order", Order)
async def test_values_that_no_job_has_find_none(store, jobs, members, order):
    assert await listed(store, JobQuery(filter=JobFilter(**members), order=order)) == []
    assert await listed(store, JobQuery(filter=JobFilter(**({"created_before": END} | members)), order=order)) == []
    assert await all_ids(store, JobFilter(**members)) == []


async def test_texts_are_compared_exactly(store):
    contexts = ["a", "A", "a ", "á", "a\u0301", "1", "1.0", "null", "%", "_", "x" * 255]
    ids = list(await store.add([new_job(context=text, key=text, tags={"name": text}) for text in contexts]))
    for text, job_id in zip(contexts, ids, strict=True):
        for members in ({"context": text}, {"key": text}, {"tags": {"name": text}}):
            assert await listed(store, JobQuery(filter=JobFilter(**members))) == [job_id], members


async def test_ten_thousand_ids_are_looked_for(store):
    ids = list(await store.add([new_job() for _ in range(200)]))
    wanted = JobFilter(ids=(*range(1_000_000, 1_009_800), *ids[::2], *ids[::2]))
    assert await all_ids(store, wanted, limit=1000) == ids[::2]
    for order, found in ((Order.NEWEST, ids[::2][::-1]), (Order.OLDEST, ids[::2]), (Order.ENDED_LAST, [])):
        assert await listed(store, JobQuery(filter=wanted, order=order)) == found


async def test_jobs_that_ended_at_the_same_time_are_on_one_page_each(store, node):
    ids = list(await store.add([new_job() for _ in range(30)]))
    await store.turn([decided(job, now=NOW + 1) for job in await claim_all(store, node)], None)
    for order, found in ((Order.ENDED_FIRST, ids), (Order.ENDED_LAST, ids[::-1])):
        for limit in (1, 7, 30):
            assert await listed(store, JobQuery(order=order, limit=limit)) == found
            failed = JobFilter(states=(State.FAILED, State.COMPLETED))
            assert await listed(store, JobQuery(order=order, limit=limit, filter=failed)) == found


async def test_jobs_that_are_due_at_the_same_time_are_on_one_page_each(store):
    ids = list(await store.add([new_job(delay=SECOND) for _ in range(30)]))
    assert await listed(store, JobQuery(order=Order.DUE, limit=7)) == ids


async def test_pages_show_each_job_once_while_others_are_added(store):
    ids = list(await store.add([new_job(context="odd" if n % 2 else "even") for n in range(57)]))
    seen = []
    async for page in pages(store, JobQuery(filter=JobFilter(context="odd"), limit=10)):
        seen += [job.id for job in page]
        await store.add([new_job(context="odd")])  # newer jobs don't shift the pages
    assert seen == ids[1::2][::-1]


@pytest.mark.parametrize("order", Order)
async def test_pages_show_each_job_once_while_others_change(store, node, order):
    """Those that stay as they are, that is. Others come and go everywhere in the list."""
    stays = {"context": "stays", "queue": "mail", "tags": {"kind": "steady"}}
    rows = [new_job(EXEC, **stays), new_job(context="changes"), new_job(delay=SECOND * 9, **stays)]
    ids = list(await store.add(rows * 20))
    steady = [job for job in await claim(store, node) if job.context == "stays"]
    await store.turn([decided(job, now=NOW + number // 3) for number, job in enumerate(steady)], None)
    shown = expected_orders(ids)[order]
    wanted = JobFilter(context="stays", tags=stays["tags"])
    seen = []
    async for page in pages(store, JobQuery(filter=wanted, order=order, limit=4)):
        seen += [job.id for job in page]
        await store.add([new_job(context="stays"), new_job(context="changes", delay=1)])
        jobs = (await claim(store, node, now=NOW + 2))[:5]
        await store.turn([decided(job, FAILED, now=NOW + 3) for job in jobs], None)
        await store.purge({State.FAILED: NOW + 4}, NOW, 3)
    assert [job_id for job_id in seen if job_id in ids] == shown


def expected_orders(ids):
    ended, due = ids[0::3], ids[2::3]
    both = sorted(ended + due)
    return {
        Order.NEWEST: both[::-1],
        Order.OLDEST: both,
        Order.ENDED_LAST: ended[::-1],
        Order.ENDED_FIRST: ended,
        Order.DUE: due,
    }


async def test_list_shows_what_was_asked_for(store, node):
    await store.add([new_job(context="a"), new_job(context="b"), new_job(context="a", delay=SECOND)])
    first, _ = await claim_all(store, node)
    await store.turn([decided(first, FAILED, exit_code=3)], None)
    found = {
        (state, context): [
            job.context for job in (await store.find(JobQuery(filter=JobFilter(states=states, context=context)))).jobs
        ]
        for state, states in {None: (), **{state: (state,) for state in State}}.items()
        for context in (None, "a", "A", "a ")
    }
    assert found[None, None] == ["a", "b", "a"]
    assert found[None, "a"] == ["a", "a"]
    assert found[None, "A"] == found[None, "a "] == found[State.COMPLETED, None] == found[State.RUNNING, "a"] == []
    assert found[State.FAILED, "a"] == found[State.SCHEDULED, "a"] == ["a"]
    assert found[State.RUNNING, None] == ["b"]
    (failed,) = (await store.find(JobQuery(filter=JobFilter(states=(State.FAILED,))))).jobs
    assert failed == await store.get(first.id)


async def test_states_that_an_order_does_not_list_find_none(store, jobs):
    for order, state in (
        (Order.ENDED_LAST, State.RUNNING),
        (Order.ENDED_FIRST, State.SCHEDULED),
        (Order.DUE, State.FAILED),
    ):
        assert await store.find(JobQuery(filter=JobFilter(states=(state,)), order=order)) == JobPage([], None)
