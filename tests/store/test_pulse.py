"""What a node learns by looking, when it looks, and what it tells others."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreUnavailable
from queue_server.store.pulse import Message, Pulse, Wish
from queue_server.store.pulse.hearing import FORGET_AFTER, REMEMBERED, Hearing
from queue_server.store.pulse.outbox import BATCH_BYTES, OUTBOX_BYTES
from tests.builders.pulses import NODE, FakeSource


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def pulse(runner: asyncio.Runner, source: FakeSource) -> Iterator[Pulse]:
    pulse = Pulse(source, ServerClock(), lambda: 0.5)
    yield pulse
    runner.run(pulse.stop())


async def test_it_looks_at_once_and_about_every_second(pulse: Pulse, source: FakeSource) -> None:
    pulse.start(NODE)
    await source.until(lambda: len(source.looks) == 2)
    first, second = source.looked_at
    assert 0.9 < second - first < 1.3
    assert source.looks[0].node_id == NODE.id
    assert source.looks[0].heard is None


async def test_it_looks_faster_while_somebody_waits(pulse: Pulse, source: FakeSource) -> None:
    waited = set[int]()
    pulse.on_end(lambda: waited, lambda _: None)
    pulse.start(NODE)
    await source.seen(1)
    waited.add(3)
    await source.until(lambda: len(source.looks) == 4)
    assert source.looked_at[-1] - source.looked_at[0] < 1.2
    assert source.looks[-1].waited == [3]


async def test_hurry_has_it_look_at_once_but_many_are_one(pulse: Pulse, source: FakeSource) -> None:
    pulse.start(NODE)
    await source.seen(1)
    for _ in range(50):
        pulse.hurry()
    await source.until(lambda: len(source.looks) == 2)
    pulse.hurry()
    await source.until(lambda: len(source.looks) == 3)
    assert all(0.009 < later - earlier < 0.5 for earlier, later in pairwise(source.looked_at))


async def test_the_clock_follows_the_databases(source: FakeSource) -> None:
    clock = ServerClock()
    source.say(told_at=5_000_000_000)
    pulse = Pulse(source, clock)
    pulse.start(NODE)
    await source.seen(2)
    await pulse.stop()
    assert 5_000_000_000 <= clock.now() < 5_002_000_000


async def test_a_look_that_fails_is_no_end_and_keeps_what_is_known(pulse: Pulse, source: FakeSource) -> None:
    source.say(nodes=3, slots=30)
    pulse.start(NODE)
    await source.seen(2)
    assert (pulse.nodes, pulse.slots) == (3, 30)
    source.error = StoreUnavailable("gone")
    pulse.hurry()
    await source.seen(3)
    assert (pulse.nodes, pulse.slots) == (3, 30)
    source.error = None
    source.say(nodes=2)
    await source.until(lambda: pulse.nodes == 2)


async def test_arrivals_are_told_with_each_look_while_they_wait(pulse: Pulse, source: FakeSource) -> None:
    told = list[int]()
    pulse.on_arrival(told.append)
    source.say(due=12)
    pulse.start(NODE)
    await source.until(lambda: len(told) == 2)
    source.say(due=None)
    await source.seen(2)
    assert set(told) == {12}


async def test_a_wish_is_told_once(pulse: Pulse, source: FakeSource) -> None:
    told = list[tuple[int, int, str]]()
    pulse.on_cancel(lambda *wish: told.append(wish))
    source.say(wishes=(Wish(1, 1, "why"),))
    pulse.start(NODE)
    await source.seen(1)
    source.say(wishes=(Wish(1, 1, "why"), Wish(1, 2, "again")))
    pulse.hurry()
    await source.until(lambda: len(told) == 2)
    pulse.hurry()
    await source.seen(2)
    assert told == [(1, 1, "why"), (1, 2, "again")]


async def test_ends_are_told_to_those_who_wait_for_them(pulse: Pulse, source: FakeSource) -> None:
    told = list[tuple[str, int]]()
    pulse.on_end(lambda: {1, 2}, lambda job_id: told.append(("first", job_id)))
    pulse.on_end(lambda: {2, 3}, lambda job_id: told.append(("second", job_id)))
    source.say(ended=(2, 3))
    pulse.start(NODE)
    await source.until(lambda: len(told) >= 3)
    assert set(told) == {("first", 2), ("second", 2), ("second", 3)}
    assert source.looks[0].waited == [1, 2, 3]


async def test_messages_come_once_and_in_order(pulse: Pulse, source: FakeSource) -> None:
    heard = list[bytes]()
    pulse.on_relayed(heard.append)
    pulse.start(NODE)
    await source.seen(1)
    source.say(messages=(Message(8, 1, b"one"), Message(8, 2, b"two"), Message(9, 1, b"other")))
    pulse.want_relayed(True)
    await source.until(lambda: len(heard) == 3)
    await source.seen(2)
    assert heard == [b"one", b"two", b"other"]
    assert source.looks[-1].heard == {8: 2, 9: 1}
    assert source.wanted == [(NODE.id, True)]
    pulse.want_relayed(False)
    await source.until(lambda: source.wanted[-1] == (NODE.id, False))


async def test_a_wish_for_messages_that_could_not_be_said_is_said_later(pulse: Pulse, source: FakeSource) -> None:
    source.error = StoreUnavailable("gone")
    pulse.start(NODE)
    pulse.want_relayed(True)
    source.error = None
    await source.until(lambda: source.wanted)
    assert source.wanted == [(NODE.id, True)]


async def test_messages_are_sent_in_batches_one_after_the_other(pulse: Pulse, source: FakeSource) -> None:
    source.say(is_relaying=True)
    pulse.start(NODE)
    await source.until(lambda: pulse.is_relaying)
    source.may_send.clear()
    for number in range(600):
        pulse.relay(b"%d" % number)
    source.may_send.set()
    await source.until(lambda: sum(map(len, source.sent)) == 600)
    assert len(source.sent) <= 3
    assert [body for batch in source.sent for body in batch] == [b"%d" % number for number in range(600)]


async def test_nothing_is_sent_that_nobody_wants(pulse: Pulse, source: FakeSource) -> None:
    pulse.start(NODE)
    await source.seen(1)
    pulse.relay(b"unheard")
    source.say(is_relaying=True)
    await source.until(lambda: pulse.is_relaying)
    pulse.relay(b"heard")
    await source.until(lambda: source.sent)
    assert source.sent == [(b"heard",)]


async def test_more_than_the_outbox_holds_is_dropped(pulse: Pulse, source: FakeSource) -> None:
    source.say(is_relaying=True)
    pulse.start(NODE)
    await source.until(lambda: pulse.is_relaying)
    source.may_send.clear()
    pulse.relay(bytes(BATCH_BYTES + 1))
    for _ in range(2 * OUTBOX_BYTES // BATCH_BYTES):
        pulse.relay(bytes(BATCH_BYTES))
    source.may_send.set()
    await source.until(lambda: len(source.sent) == OUTBOX_BYTES // BATCH_BYTES)
    pulse.relay(b"room again")
    await source.until(lambda: source.sent[-1] == (b"room again",))


async def test_a_batch_that_cannot_be_sent_is_dropped(pulse: Pulse, source: FakeSource) -> None:
    source.say(is_relaying=True)
    pulse.start(NODE)
    await source.until(lambda: pulse.is_relaying)
    source.error = StoreUnavailable("gone")
    pulse.relay(b"lost")
    await source.seen(2)
    source.error = None
    pulse.relay(b"kept")
    await source.until(lambda: source.sent)
    assert source.sent[-1][-1] == b"kept"


async def test_a_mistake_in_a_listener_is_reported_and_no_end(pulse: Pulse, source: FakeSource) -> None:
    reported = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    pulse.on_arrival(lambda _: {}[0])
    source.say(due=0)
    pulse.start(NODE)
    await source.until(lambda: reported)
    source.say(due=None, nodes=4)
    await source.until(lambda: pulse.nodes == 4)
    assert isinstance(reported[0], KeyError)


def test_a_silent_node_is_forgotten_when_what_it_said_is_older_than_what_is_wanted() -> None:
    hearing = Hearing(1)
    assert hearing.take((Message(8, 5, b"x"),), 10) == [b"x"]
    assert hearing.take((Message(8, 5, b"x"),), 11) == []
    later = 10 + FORGET_AFTER
    assert hearing.take((), later) == []
    assert hearing.heard == {}
    assert 10 < hearing.since == later - REMEMBERED
