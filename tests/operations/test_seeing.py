"""Whoever asks, in whatever way, sees exactly the jobs that his access sees: the others are not there."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_server.domain.access import EVERYBODY, Access, Right
from queue_server.domain.errors import NotAllowed
from queue_server.domain.job import JobRecord
from queue_server.domain.revising import read_patch
from queue_server.domain.state import State
from queue_server.executors.live import Stream
from queue_server.operations import look as looking
from queue_server.operations.binding import encloses, within
from queue_server.operations.look import ID_LIMIT
from queue_server.operations.output import Missing
from queue_server.store.contract import JobFilter, JobQuery, Order
from queue_server.telemetry.events import event as events
from queue_server.telemetry.events.filters import EventFilter
from tests.builders.access import access, accesses
from tests.builders.event_streams import events_in
from tests.builders.jobs import NOW, new_job
from tests.builders.lists import CONTEXTS, QUEUES, Listed, expected, filters, of, populated
from tests.builders.parts import Parts
from tests.builders.properties import limits

NO_SUCH_JOB = 999_999
plain_filters = filters.map(lambda wanted: msgspec.structs.replace(wanted, contexts=None, queues=None))
"""Filters as clients send them."""

EXAMPLES = pytest.mark.parametrize("examples", [60, pytest.param(3000, marks=pytest.mark.long)])


class Asking(Parts):
    """All ways to ask about jobs."""

    async def listed(self, query: JobQuery, who: Access) -> list[int]:
        """The ids on all pages of a list."""
        found: list[int] = []
        while True:
            page = await self.look.jobs(query, who)
            found += [job.id for job in page.jobs]
            if page.next is None:
                return found
            query = msgspec.structs.replace(query, after=page.next)

    async def about(self, job_id: int, who: Access) -> list[Any]:
        """What each way to ask about one job answers."""
        return [
            await self.look.job(job_id, who),
            await self.wait(job_id, who, 0.01),
            await self.look.attempts(job_id, who),
            await self.explain(job_id, who),
            await self.output.read(job_id, who, Stream.OUTPUT, 1),
            await self.output.follow(job_id, who, Stream.OUTPUT, 1),
        ]

    async def told(self, wanted: EventFilter, who: Access, jobs: Sequence[JobRecord]) -> list[int]:
        """The jobs of the events that a reader is told of: half of them it has missed, and goes on after."""
        half = len(jobs) // 2
        with self.events.open(EventFilter(), EVERYBODY, "", lambda: None) as (_, opening):
            last_id = opening.partition(b"id: ")[2].split(b"\n")[0].decode()
            self._happen(jobs[:half])
            with self.events.open(wanted, who, last_id, lambda: None) as (reader, _):
                self._happen(jobs[half:])
                stream = b""
                reader.finish()
                while data := await reader.read(1.0):
                    stream += data
        return [one.data["job_id"] for one in events_in(stream)]

    def _happen(self, jobs: Sequence[JobRecord]) -> None:
        for job in jobs:
            self.events.tell(events.updated(job, NOW))


@pytest.fixture
def jobs(store, runner) -> list[Listed]:
    """What is in the store, as the model has it."""

    async def fill() -> list[Listed]:
        return await populated(store, await store.register("here", 100, NOW))

    return runner.run(fill())


@pytest.fixture
def asking(store, runner) -> Asking:
    async def make() -> Asking:
        return Asking(store)

    return runner.run(make())


def seen_by(who: Access, jobs: Sequence[Listed]) -> list[Listed]:
    return [job for job in jobs if who.sees(job.record.context, job.record.queue)]


@pytest.mark.timeout(900)
@EXAMPLES
def test_one_job_is_there_for_those_who_see_it_and_for_nobody_else(asking, jobs, runner, examples):
    """What is told of a hidden one is what is told of one that never was, but for the id."""

    @limits(examples)
    @given(accesses, st.sampled_from(jobs))
    def check(who, job):
        id_ = job.record.id
        told = runner.run(asking.about(id_, who))
        if who.sees(job.record.context, job.record.queue):
            assert (told[0].id, told[1].id, told[3].job.id) == (id_, id_, id_)
            assert told[2] is not None
            assert told[4] != Missing(f"There is no job {id_}") != told[5]
        else:
            absent = runner.run(asking.about(NO_SUCH_JOB, who))
            assert absent[:4] == [None] * 4
            assert repr(told) == repr(absent).replace(str(NO_SUCH_JOB), str(id_))

    check()


@pytest.mark.timeout(900)
@EXAMPLES
def test_lists_and_counts_are_those_of_the_jobs_that_are_seen(asking, jobs, runner, examples):
    @limits(examples)
    @given(accesses, filters, st.sampled_from(Order), st.integers(1, 60))
    def check(who, wanted, order, limit):
        mine = seen_by(who, jobs)
        query = JobQuery(filter=wanted, order=order, limit=limit)
        assert runner.run(asking.listed(query, who)) == expected(mine, wanted, order)
        assert runner.run(asking.many.count(wanted, who)) == len(expected(mine, wanted, Order.OLDEST))

    check()


@pytest.mark.timeout(900)
@EXAMPLES
def test_events_are_those_of_the_jobs_that_are_seen(asking, jobs, runner, examples):
    wanted = st.builds(
        EventFilter,
        queue=of(*QUEUES, "none"),
        context=of(*CONTEXTS, "none"),
        job_id=of(*range(1, 251)),
        states=st.none() | st.frozensets(st.sampled_from(State), min_size=1),
    )

    @limits(examples)
    @given(accesses, wanted)
    def check(who, filter_):
        records = [job.record for job in jobs]
        mine = [job for job in records if who.sees(job.context, job.queue)]
        expected_ids = [job.id for job in mine if filter_.wants(events.updated(job, NOW))]
        assert runner.run(asking.told(filter_, who, records)) == expected_ids

    check()
    delivery = asking.events._delivery
    left = (delivery._groups, delivery._everywhere, delivery._placed, delivery._of_jobs)
    assert not any(left), "readers that have gone leave nothing behind"


@pytest.mark.timeout(900)
@EXAMPLES
def test_numbers_are_those_of_the_jobs_that_are_seen(asking, jobs, runner, examples):
    @limits(examples)
    @given(accesses)
    def check(who):
        status = runner.run(asking.look.status(who))
        mine = seen_by(who, jobs)
        assert status.counts == {state: sum(job.record.state is state for job in mine) for state in State}
        assert (status.slots, status.free) == (100, max(0, 100 - status.working))

    check()


async def test_own_jobs_are_counted_so_far_and_no_further(asking, store, monkeypatch):
    monkeypatch.setattr(looking, "COUNT_LIMIT", 30)
    await store.add([new_job(context=context) for context in ("shop", "mail") for _ in range(40)])
    assert (await asking.look.status(access(contexts=["shop"]))).counts[State.AVAILABLE] == 30
    assert (await asking.look.status(EVERYBODY)).counts[State.AVAILABLE] == 80


@pytest.mark.timeout(900)
@EXAMPLES
def test_filter_is_enclosed_where_it_is_for_seen_jobs_only(examples):
    """A token sees its own operations. What it sees of others is not for a single job that is hidden from it."""

    @limits(examples)
    @given(accesses, accesses, plain_filters)
    def check(who, other, wanted):
        if who.is_bound:
            assert encloses(who, within(wanted, who))
        theirs = within(wanted, other)
        if encloses(who, theirs):
            for context in {*CONTEXTS, "none"}:
                for queue in {*QUEUES, "none"}:
                    meant = wanted.context in (None, context) and wanted.queue in (None, queue)
                    assert who.sees(context, queue) or not (meant and other.sees(context, queue))

    check()


def test_filter_of_another_token_that_finds_nothing_is_hidden_too():
    """It names a context of ours, but who asked is not bound to it: what else it names is none of our business."""
    theirs = within(JobFilter(context="mail", key="their secret"), access(contexts=["shop"]))
    assert not encloses(access(contexts=["mail"]), theirs)


async def test_explanation_tells_a_bound_token_nothing_about_the_others(asking, store):
    ids = await store.add([new_job(context=context) for context in ("mail", "mail", "shop")])
    bound, whole = await asking.explain(ids[2], access(contexts=["shop"])), await asking.explain(ids[2], EVERYBODY)
    assert whole.facts["ahead"] == 2
    assert "2 jobs" in whole.sentence
    assert bound.facts.keys() == {"due_for"}
    assert not any(digit in bound.sentence.partition(";")[2] for digit in "0123456789")


@pytest.mark.parametrize("right", [Right.READ, Right.MANAGE, Right.ADD_EXEC])
async def test_outputs_take_a_right_of_their_own(asking, jobs, right):
    for id_ in (1, NO_SUCH_JOB):
        for read in (asking.output.read, asking.output.follow):
            with pytest.raises(NotAllowed, match="read:output"):
                await read(id_, access(right), Stream.OUTPUT)
    job = await asking.look.job(1, access(right, Right.READ))
    assert await asking.look.output(job, access(right)) is None


async def test_job_that_moves_away_while_it_is_waited_for_is_gone(asking, store):
    (id_,) = await store.add([new_job(context="shop")])
    waiting = asyncio.create_task(asking.wait(id_, access(contexts=["shop"]), 5.0))
    while not asking.events.ends:
        await asyncio.sleep(0)
    await store.amend((id_,), asking.rules.revise(read_patch(b'{"context": "mail"}'), EVERYBODY))
    asking.events.ends.came(id_)
    assert await waiting is None


@pytest.mark.parametrize("id_", [0, -1, ID_LIMIT, 10**30])
async def test_ids_that_no_job_can_have_find_none(asking, id_):
    assert await asking.look.job(id_, EVERYBODY) is None
