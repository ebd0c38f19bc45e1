"""Operations: what they are, and how far they have come together with what they did."""

import asyncio

import msgspec
import pytest

from queue_server.domain.access import EVERYBODY, Right
from queue_server.domain.errors import InvalidJob, Problem, StoreError
from queue_server.domain.job import JobRecord
from queue_server.domain.state import State
from queue_server.domain.wishes import Answer
from queue_server.store.contract import JobFilter, NewOperation, Operation, OperationState, Step
from tests.builders.access import access
from tests.builders.jobs import DAY, NOW, SECOND, new_job
from tests.builders.rules import cancelling
from tests.builders.stores import add_one, opened

FULL_FILTER = JobFilter(
    states=(State.FAILED, State.CANCELLED),
    type="http",
    queue="q",
    context="c",
    key="k",
    parent_id=7,
    tags={"a": "b"},
    created_after=1,
    created_before=2,
    ended_after=3,
    ended_before=4,
    ids=(1, 2**53 - 1),
    contexts=("c", "d"),
    queues=("q",),
)
ACCESS = access(Right.ADD, Right.MANAGE, contexts=["c", "d", "ü ☃"], queues=["q"])
PURGE_AGE = 31 * DAY


def operation(**members) -> NewOperation:
    """An operation to add."""
    return NewOperation(
        **(
            {
                "action": "cancel",
                "filter": JobFilter(),
                "reason": "",
                "changes": "",
                "last_id": 99,
                "matched": 12,
                "created_at": NOW,
            }
            | members
        )
    )


async def ended(store, at: int) -> int:
    """An operation that ended; its id."""
    operation_id = await store.add_operation(operation())
    step = Step(operation_id=operation_id, next_id=99, state=OperationState.COMPLETED, ended_at=at)
    await store.amend((), cancelling(), step)
    return operation_id


def nothing(_record: JobRecord) -> None:
    """Change nothing."""


async def test_operation_is_stored_as_it_was_added(store):
    new = operation(
        action="retry",
        filter=FULL_FILTER,
        reason="because",
        changes='{"priority":1e0}',
        last_id=2**53,
        matched=0,
        access=ACCESS,
    )
    operation_id = await store.add_operation(new)
    assert await store.operation(operation_id) == Operation(
        id=operation_id,
        action="retry",
        state=OperationState.RUNNING,
        filter=FULL_FILTER,
        reason="because",
        changes='{"priority":1e0}',
        last_id=2**53,
        next_id=0,
        matched=0,
        done=0,
        skipped=0,
        created_at=NOW,
        ended_at=None,
        error=None,
        access=ACCESS,
    )
    plain = await store.operation(await store.add_operation(operation()))
    assert (plain.filter, plain.access) == (JobFilter(), EVERYBODY)


@pytest.mark.parametrize("operation_id", [0, 99, -1, 2**63])
async def test_unknown_operation_is_none(store, operation_id):
    await store.add_operation(operation())
    assert await store.operation(operation_id) is None


async def test_lists_show_the_newest_first_and_the_open_ones_oldest_first(store):
    ids = [await store.add_operation(operation()) for _ in range(5)]
    assert ids == sorted(set(ids))
    await store.amend((), nothing, Step(operation_id=ids[2], next_id=9, state=OperationState.CANCELLED, ended_at=NOW))
    assert [one.id for one in await store.operations(2**53, 10)] == ids[::-1]
    assert [one.id for one in await store.operations(ids[3], 2)] == [ids[2], ids[1]]
    assert [one.id for one in await store.open_operations()] == [ids[0], ids[1], ids[3], ids[4]]


async def test_step_counts_what_was_changed_and_what_was_not(store):
    """Cancelled now; cancelled already; gone; refused by an error; named twice."""
    job_ids = list(await store.add([new_job() for _ in range(5)]))
    await store.amend(job_ids[1:2], cancelling())
    operation_id = await store.add_operation(operation())

    def rule(record: JobRecord) -> Answer:
        if record.id == job_ids[2]:
            raise InvalidJob([Problem("/priority", "is wrong")])
        return cancelling()(record)

    step = Step(operation_id=operation_id, next_id=job_ids[3])
    await store.amend([*job_ids[:4], 999], rule, step)
    now = await store.operation(operation_id)
    assert (now.done, now.skipped, now.next_id, now.state) == (2, 3, job_ids[3], OperationState.RUNNING)
    last = Step(operation_id=operation_id, next_id=99, state=OperationState.COMPLETED, ended_at=NOW + 5)
    await store.amend(job_ids[4:], cancelling(), last)
    now = await store.operation(operation_id)
    assert (now.done, now.skipped, now.next_id) == (3, 3, 99)
    assert (now.state, now.ended_at, now.error) == (OperationState.COMPLETED, NOW + 5, None)


async def test_step_and_its_page_are_one(store):
    """Where the page can't be written the operation has not come further."""
    first, second = await store.add([new_job(), new_job()])
    operation_id = await store.add_operation(operation())

    def broken(record: JobRecord) -> Answer:
        if record.id == second:
            raise ZeroDivisionError
        return cancelling()(record)

    with pytest.raises(StoreError):
        await store.amend([first, second], broken, Step(operation_id=operation_id, next_id=second))
    now = await store.operation(operation_id)
    assert (now.done, now.skipped, now.next_id) == (0, 0, 0)
    assert (await store.get(first)).state is State.AVAILABLE


@pytest.mark.parametrize("state", [OperationState.CANCELLED, OperationState.COMPLETED, OperationState.FAILED])
async def test_operation_that_is_over_does_nothing_more(store, state):
    """Its next page may be on the way when somebody cancels it."""
    job_id = await add_one(store, new_job())
    operation_id = await store.add_operation(operation())
    over = Step(operation_id=operation_id, next_id=5, state=state, ended_at=NOW, error="why")
    assert await store.amend((), nothing, over) == []
    before = await store.operation(operation_id)
    assert (before.state, before.ended_at, before.error) == (state, NOW, "why")
    assert await store.amend([job_id], cancelling(), Step(operation_id=operation_id, next_id=9)) == []
    await store.amend((), nothing, msgspec.structs.replace(over, state=OperationState.RUNNING, ended_at=None))
    assert await store.operation(operation_id) == before
    assert (await store.get(job_id)).state is State.AVAILABLE


async def test_page_that_another_node_has_done_is_not_done_again(store):
    job_ids = list(await store.add([new_job() for _ in range(3)]))
    operation_id = await store.add_operation(operation())
    first = Step(operation_id=operation_id, next_id=job_ids[0], after=0)
    assert await store.amend(job_ids[:1], cancelling(), first)
    assert await store.amend(job_ids[1:2], cancelling(), first) == []
    assert await store.amend(job_ids[2:], cancelling(), Step(operation_id=operation_id, next_id=9, after=1000)) == []
    now = await store.operation(operation_id)
    assert (now.next_id, now.done, now.skipped) == (job_ids[0], 1, 0)
    assert (await store.counts())[State.AVAILABLE] == 2
    assert await store.amend(job_ids[1:2], cancelling(), Step(operation_id=operation_id, next_id=9, after=job_ids[0]))


async def test_of_nodes_that_do_one_page_at_a_time_one_does_it(store):
    (job_id,) = await store.add([new_job()])
    operation_id = await store.add_operation(operation())
    step = Step(operation_id=operation_id, next_id=job_id, after=0)
    results = await asyncio.gather(*[store.amend([job_id], cancelling(), step) for _ in range(8)])
    assert sum(map(bool, results)) == 1
    now = await store.operation(operation_id)
    assert (now.done, now.skipped) == (1, 0)


async def test_cancelled_operation_ends_between_two_pages(store):
    job_ids = list(await store.add([new_job() for _ in range(40)]))
    operation_id = await store.add_operation(operation(matched=40))
    cancel = Step(operation_id=operation_id, next_id=0, state=OperationState.CANCELLED, ended_at=NOW)
    pages = [store.amend([job_id], cancelling(), Step(operation_id=operation_id, next_id=job_id)) for job_id in job_ids]
    pages.insert(20, store.amend((), nothing, cancel))
    results = await asyncio.gather(*pages)
    assert [bool(result) for result in results] == [n < 20 for n in range(41)]
    now = await store.operation(operation_id)
    assert (now.state, now.done, now.skipped) == (OperationState.CANCELLED, 20, 0)
    counts = await store.counts()
    assert (counts[State.CANCELLED], counts[State.AVAILABLE]) == (20, 20)


async def test_operation_goes_on_after_reopening_where_it_was(backend):
    async with opened(backend) as store:
        job_ids = list(await store.add([new_job() for _ in range(4)]))
        operation_id = await store.add_operation(operation(filter=FULL_FILTER))
        await store.amend(job_ids[:2], cancelling(), Step(operation_id=operation_id, next_id=job_ids[1]))
    async with opened(backend) as store:
        (open_,) = await store.open_operations()
        assert (open_.id, open_.next_id, open_.done, open_.filter) == (operation_id, job_ids[1], 2, FULL_FILTER)
        assert await store.add_operation(operation()) > operation_id


async def test_operations_that_ended_long_ago_are_forgotten_and_open_ones_are_not(store):
    open_ = await store.add_operation(operation())
    old, young = await ended(store, NOW), await ended(store, NOW + SECOND)
    assert await store.purge({}, NOW + PURGE_AGE, 0) == 0
    assert await store.purge({}, NOW + 30 * DAY, 100) == 0
    assert await store.purge({}, NOW + 30 * DAY + 1, 100) == 1
    assert [one.id for one in await store.operations(2**53, 10)] == [young, open_]
    assert await store.purge({}, NOW + PURGE_AGE, 100) == 1
    assert await store.operation(old) is None
    assert await store.add_operation(operation()) > young, "ids are never used again"
