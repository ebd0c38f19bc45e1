"""A node's right to its jobs ends by itself, whoever looks when."""

import asyncio
import threading

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreUnavailable
from queue_server.engine import heartbeat as heartbeat_module
from queue_server.engine.heartbeat import HeartbeatThread
from queue_server.engine.lease import HELD_S, WATCH_S, Lease, LeaseWatch
from queue_server.engine.outage import Outage
from queue_server.store.contract import LEASE_S

SECOND = 1_000_000
HELD = round(HELD_S * SECOND)


class Steady:
    """A clock that stands where it was set."""

    def __init__(self) -> None:
        self.time = 1000 * SECOND

    def __call__(self) -> int:
        """Microseconds."""
        return self.time


class Told:
    """A watch on a lease, and what it told."""

    def __init__(self) -> None:
        self.steady = Steady()
        self.lease = Lease(self.steady)
        self.lines = list[str]()
        self.watch = LeaseWatch(self.lease, lambda: self.lines.append("lost"), lambda: self.lines.append("regained"))

    def after(self, micros: int) -> list[str]:
        """Let time pass and look; what is told then."""
        self.steady.time += micros
        self.lines.clear()
        self.watch.look()
        return [*self.lines]


def test_work_ends_before_others_may_take_it() -> None:
    """What is left must do for noticing, for stopping and for clocks that run a little differently."""
    assert HELD_S + WATCH_S + 1 < LEASE_S


def test_lease_is_held_while_heartbeats_are_confirmed() -> None:
    told = Told()
    for _ in range(5):
        assert told.after(HELD - 1) == []
        told.lease.confirm(told.steady())
    assert told.watch.is_held


def test_lease_is_lost_once_and_regained_once() -> None:
    told = Told()
    assert told.after(HELD) == ["lost"]
    assert not told.watch.is_held
    assert told.after(HELD) == []
    told.lease.confirm(told.steady())
    assert told.after(1) == ["regained"]
    assert told.watch.is_held
    assert told.after(1) == []


def test_beat_counts_from_when_it_was_asked_for() -> None:
    told = Told()
    asked_at = told.steady()
    assert told.after(HELD - 1) == []
    told.lease.confirm(asked_at)
    assert told.after(1) == ["lost"]


def test_answer_that_took_longer_than_the_lease_confirms_nothing() -> None:
    told = Told()
    asked_at = told.steady()
    assert told.after(HELD) == ["lost"]
    told.lease.confirm(asked_at)
    assert told.after(1) == []


def test_process_that_was_paused_stops_its_work_even_if_a_beat_comes_first() -> None:
    told = Told()
    told.steady.time += 45 * SECOND
    told.lease.confirm(told.steady())
    assert told.after(0) == ["lost", "regained"]


async def look_twice(watch: LeaseWatch) -> None:
    """Let it run until it has looked for certain."""
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(2.5 * WATCH_S)
    running.cancel()


def test_watch_looks_by_itself() -> None:
    told = Told()
    told.steady.time += HELD
    asyncio.run(look_twice(told.watch))
    assert told.lines == ["lost"]


class Beats:
    """A heartbeat that fails as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.count = 0
        self.enough = threading.Event()

    def beat(self, _now: int) -> None:
        """See Heartbeat.beat."""
        self.count += 1
        if self.count <= self.failures:
            raise StoreUnavailable("gone")
        self.enough.set()


class Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.lines = list[str]()

    def warning(self, event: str, **_fields: object) -> None:
        """Keep a line."""
        self.lines.append(event)

    info = warning


def test_heartbeat_tries_again_soon_confirms_the_lease_and_says_once_what_is_wrong(monkeypatch) -> None:
    monkeypatch.setattr(heartbeat_module, "BEAT_S", 0.05)
    monkeypatch.setattr(heartbeat_module, "AGAIN_S", 0.01)
    beats, log, steady = Beats(failures=3), Lines(), Steady()
    lease = Lease(steady)
    steady.time += HELD
    thread = HeartbeatThread(beats, lease, ServerClock(), Outage(log))
    assert lease.look() == (False, 1)
    steady.time = 0  # a beat's time is that of the machine: no older than this
    thread.start()
    assert beats.enough.wait(5)
    thread.stop()
    assert lease.look() == (True, 1)
    assert log.lines == ["the store can't be written, trying again", "the store can be written again"]
