"""Which work shares a transaction: small pieces wait for one large batch at most, and nothing waits for ever."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

import pytest

from queue_server.domain.errors import KeyMismatch
from queue_server.domain.job import NewJob
from queue_server.domain.state import State
from queue_server.store.contract import Claim
from queue_server.store.sqlite.groups import LARGE_ROWS, PIECES_LIMIT, SMALL_ROWS, Groups
from queue_server.store.sqlite.session import Session
from queue_server.store.sqlite.work import Add, Call
from tests.builders.jobs import NOW, new_job, once
from tests.builders.stores import ALL_SLOTS

HUGE = LARGE_ROWS + 1


def rows(count: int) -> Sequence[NewJob]:
    return [new_job()] * count


@pytest.fixture
def commits(monkeypatch):
    """How many jobs each transaction added."""
    seen: list[int] = []
    begin, commit = Session.begin, Session.commit

    def noted_begin(session: Session) -> None:
        seen.append(-session.last_id)
        begin(session)

    def noted_commit(session: Session) -> None:
        commit(session)
        seen[-1] += session.last_id

    monkeypatch.setattr(Session, "begin", noted_begin)
    monkeypatch.setattr(Session, "commit", noted_commit)
    return seen


@asynccontextmanager
async def busy(store) -> AsyncIterator[list[asyncio.Task]]:
    """The writer is in a transaction for as long as the block; then what was started in it is awaited."""
    is_inside, may_go_on = threading.Event(), threading.Event()
    held = asyncio.create_task(store._call(lambda _session: is_inside.set() or may_go_on.wait(30)))
    assert await asyncio.to_thread(is_inside.wait, 30)
    started: list[asyncio.Task] = []
    try:
        yield started
        await asyncio.sleep(0)
    finally:
        may_go_on.set()
    assert await held
    await asyncio.gather(*started)


def start(work: Awaitable) -> asyncio.Task:
    return asyncio.create_task(work)


async def test_small_adds_go_before_large_batches_that_came_first(store, commits):
    async with busy(store) as started:
        started += [start(store.add(rows(HUGE))) for _ in range(3)]
        started += [start(store.add(rows(1))) for _ in range(5)]
        started += [start(store.add(rows(SMALL_ROWS)))]
    assert commits == [0, 5 + SMALL_ROWS, HUGE, HUGE, HUGE]
    assert [task.result()[0] for task in started[3:8]] == [1, 2, 3, 4, 5]
    firsts = [task.result()[0] for task in started[:3]]
    assert firsts == sorted(firsts), "large ones keep their order"


async def test_batches_share_a_transaction_as_long_as_it_is_short(store, commits):
    third = LARGE_ROWS // 3
    async with busy(store) as started:
        started += [start(store.add(rows(third))) for _ in range(7)]
        started += [start(store.add(rows(1)))]
    assert commits == [0, 3 * third + 1, 3 * third, third]


async def test_batches_with_keys_are_no_different(store, commits):
    def batch(name: str) -> Sequence[NewJob]:
        return [new_job(once=once(f"{name}{place}")) for place in range(HUGE)]

    async with busy(store) as started:
        started += [start(store.add_once(batch(name))) for name in "ab"]
        started += [start(store.add_once(batch("a")))]
        started += [start(store.add_once([new_job(once=once("single"))]))]
    assert commits == [0, 1, HUGE, HUGE, 0]
    assert started[2].result().ids == started[0].result().ids


async def test_refused_batch_refuses_no_other(store, commits):
    await store.add_once([new_job(once=once("known"))])
    bad = [new_job(once=once(str(place))) for place in range(HUGE)] + [new_job(once=once("known", b"other"))]
    async with busy(store) as started:
        refused = start(store.add_once(bad))
        started += [start(store.add(rows(HUGE))), start(store.add(rows(1)))]
    with pytest.raises(KeyMismatch):
        await refused
    assert commits == [1, 0, 1, 0, HUGE]


async def test_ends_and_claims_go_before_large_batches(store, node, commits):
    async with busy(store) as started:
        started += [start(store.add(rows(HUGE))) for _ in range(2)]
        started += [start(store.add(rows(1))), turn := start(store.turn((), Claim(node.id, ALL_SLOTS, NOW)))]
    assert commits[-3:] == [1, HUGE, HUGE]
    assert len(turn.result().claimed.jobs) == 1


async def test_large_batches_are_written_when_nothing_else_comes(store, commits):
    async with busy(store) as started:
        started += [start(store.add(rows(HUGE))) for _ in range(4)]
    assert commits == [0, HUGE, HUGE, HUGE, HUGE]


async def test_close_writes_what_still_waits(backend, commits):
    store = await backend.open()
    async with busy(store) as closing:
        waiting = [start(store.add(rows(count))) for count in (HUGE, 1, HUGE, 100)]
        await asyncio.sleep(0)
        closing += [start(store.close())]
    assert commits == [0, 1, HUGE, HUGE, 100]
    assert [len(task.result()) for task in waiting] == [HUGE, 1, HUGE, 100]
    assert backend.recount()[State.AVAILABLE] == 2 * HUGE + 101


def call() -> Call:
    return Call(asyncio.Future(), lambda _session: None)


def add(count: int) -> Add:
    return Add(asyncio.Future(), rows(count))


async def test_small_and_large_take_turns_so_that_neither_starves():
    groups = Groups()
    larges = [add(HUGE) for _ in range(4)]
    for large in larges:
        groups.put(large)
    written = []
    while groups:
        groups.put(call())
        written += groups.next()
        assert len(written) < 20, "more small ones come all the time"
        if written[-1] is larges[-1]:
            break
    assert [larges.index(work) if work in larges else "small" for work in written] == [
        *("small", 0, "small", "small", 1, "small", "small", 2, "small", "small", 3)
    ]


async def test_many_small_pieces_are_several_groups():
    groups = Groups()
    pieces = [call() for _ in range(PIECES_LIMIT + 1)]
    for piece in pieces:
        groups.put(piece)
    assert groups.next() == pieces[:-1]
    assert groups.next() == pieces[-1:]
    assert not groups
    assert groups.next() == []
