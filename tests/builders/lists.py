"""What lists show, by a simple model: all jobs in memory, filtered and sorted in Python.

Also jobs of many kinds to be listed, and what hypothesis makes up filters of.
"""

import random
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from hypothesis import strategies as st

from queue_server.domain.command import command_type
from queue_server.domain.job import JobRecord, NewJob
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.contract import JobFilter, JobQuery, Node, Order, Position, Slots, Store
from tests.builders.jobs import EXEC, HTTP, NOW, SECOND, decided, new_job
from tests.builders.stores import claim

SHOWN = {Order.ENDED_LAST: FINAL_STATES, Order.ENDED_FIRST: FINAL_STATES, Order.DUE: (State.SCHEDULED,)}

QUEUES = ("default", "mail", "rare")
CONTEXTS = ("default", "shop", "blöd ☃", "it's; drop table job --")
KEYS = ("tenant-1", "tenant-2", "\U0001f600", "%")
TAGS = {"customer": ("acme", "o'neill"), "region": ("eu", "us", ""), "x.y:z": ("1",)}
ENDS = (OutcomeKind.SUCCEEDED, OutcomeKind.SUCCEEDED, OutcomeKind.FAILED, OutcomeKind.CANCELLED)

END = NOW + 400 * SECOND
"""All jobs are created before, and those that are scheduled are due later."""


class Listed(msgspec.Struct, frozen=True):
    """A job as the model has it."""

    record: JobRecord
    tags: Mapping[str, str]

    def matches(self, wanted: JobFilter) -> bool:
        """Whether a filter means it."""
        job = self.record
        plain = (
            (wanted.type, command_type(job.plan.command)),
            (wanted.queue, job.queue),
            (wanted.context, job.context),
            (wanted.key, job.key),
            (wanted.parent_id, job.parent_id),
        )
        return (
            all(asked is None or asked == has for asked, has in plain)
            and (not wanted.states or job.state in wanted.states)
            and (wanted.ids is None or job.id in wanted.ids)
            and (wanted.contexts is None or job.context in wanted.contexts)
            and (wanted.queues is None or job.queue in wanted.queues)
            and wanted.tags.items() <= self.tags.items()
            and is_within(job.created_at, wanted.created_after, wanted.created_before)
            and is_within(job.ended_at, wanted.ended_after, wanted.ended_before)
        )

    def key(self, order: Order) -> tuple[int, int]:
        """What a list in this order is sorted by."""
        values = {Order.ENDED_LAST: self.record.ended_at, Order.ENDED_FIRST: self.record.ended_at}
        value = self.record.run_at if order is Order.DUE else values.get(order, self.record.id)
        assert value is not None
        return value, self.record.id


def is_within(time: int | None, after: int | None, before: int | None) -> bool:
    if after is None and before is None:
        return True
    return time is not None and (after is None or time >= after) and (before is None or time < before)


def expected(jobs: Sequence[Listed], wanted: JobFilter, order: Order) -> list[int]:
    """The ids that a list shows, from its first page to its last."""
    shown = [job for job in jobs if job.matches(wanted) and job.record.state in SHOWN.get(order, tuple(State))]
    is_descending = order in (Order.NEWEST, Order.ENDED_LAST)
    return [job.record.id for job in sorted(shown, key=lambda job: job.key(order), reverse=is_descending)]


async def populated(store: Store, node: Node, count: int = 250) -> list[Listed]:
    """Add jobs of all kinds, in all states; many have a time of their creation, of their end or when due in common.

    After the first half of them the clock was set back.
    """
    chance = random.Random(7)
    rows = [_row(number, count, chance) for number in range(count)]
    ids = await store.add(rows)
    jobs = await claim(store, node, Slots(total=130, http=110, exec=20), now=END)
    ends = [decided(job, chance.choice(ENDS), now=END + chance.randrange(9) * SECOND) for job in jobs]
    await store.turn(ends, None)
    await claim(store, node, Slots(total=30, http=25, exec=5), now=END)
    return [Listed(await _get(store, id_), row.tags or {}) for id_, row in zip(ids, rows, strict=True)]


async def pages(store: Store, query: JobQuery) -> AsyncIterator[Sequence[JobRecord]]:
    """All pages of a list from `query` on."""
    while True:
        page = await store.find(query)
        yield page.jobs
        if page.next is None:
            return
        query = msgspec.structs.replace(query, after=page.next)


async def listed(store: Store, query: JobQuery) -> list[int]:
    """The ids on all pages of a list."""
    return [job.id async for page in pages(store, query) for job in page]


def of(*values: object) -> st.SearchStrategy[object]:
    """One of some values, or, more often, None."""
    return st.none() | st.none() | st.sampled_from(values)


times = of(*range(NOW - SECOND, END + 10 * SECOND, 7 * SECOND), END, END + SECOND)


def some_of(*values: str) -> st.SearchStrategy[tuple[str, ...] | None]:
    """A binding to several of some values, or, more often, to none."""
    return st.none() | st.none() | st.lists(st.sampled_from(values), max_size=4).map(tuple)


filters = st.builds(
    JobFilter,
    states=st.just(()) | st.lists(st.sampled_from(State), max_size=4).map(tuple),
    type=of("http", "exec"),
    queue=of(*QUEUES, "none"),
    context=of(*CONTEXTS, "none"),
    key=of(*KEYS, "none"),
    parent_id=of(1, 2, 3, 999),
    tags=st.just({})
    | st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in TAGS.items()}),
    created_after=times,
    created_before=times,
    ended_after=times,
    ended_before=times,
    ids=st.none() | st.none() | st.lists(st.integers(-1, 270), max_size=60).map(tuple),
    contexts=some_of(*CONTEXTS, "none"),
    queues=some_of(*QUEUES, "none"),
)
positions = st.none() | st.builds(
    Position, st.integers(0, 270) | st.integers(NOW, END + 9 * SECOND), st.integers(0, 270)
)


def _row(number: int, count: int, chance: random.Random) -> NewJob:
    clock = NOW + number * SECOND - (100 * SECOND if number > count // 2 else 0)
    run_at = END + chance.choice((1, 1, 1000)) * SECOND
    scheduled = {"state": State.SCHEDULED, "run_at": run_at} if chance.random() < 0.2 else {}
    return new_job(
        EXEC if chance.random() < 0.15 else HTTP,
        now=clock + chance.choice((0, 0, 1, -3 * SECOND)),
        queue=chance.choice(QUEUES[:2]) if number > 4 else QUEUES[2],
        context=chance.choice(CONTEXTS),
        key=chance.choice((None, None, *KEYS)),
        parent_id=chance.choice((None, None, 1, 2, 3)),
        tags={name: chance.choice(values) for name, values in TAGS.items() if chance.random() < 0.4} or None,
        **scheduled,
    )


async def _get(store: Store, job_id: int) -> JobRecord:
    record = await store.get(job_id)
    assert record is not None
    return record
