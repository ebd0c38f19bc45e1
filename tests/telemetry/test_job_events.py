"""Who hears of which change of a job, in which order, and what it costs those who keep the jobs going."""

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from queue_server.domain.access import EVERYBODY, Access
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.state import State
from queue_server.telemetry.events import recent
from queue_server.telemetry.events.event import EventType, JobEvent
from queue_server.telemetry.events.filters import EVERYTHING, EventFilter
from queue_server.telemetry.events.frames import PING, EventView
from queue_server.telemetry.events.reader import TOO_MUCH, Reader
from queue_server.telemetry.job_events import JobEvents
from tests.builders.event_streams import Told, events_in, told
from tests.builders.jobs import NOW, decided, job, new_job

QUIET = 10.0


class FixedClock:
    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def hub(run: str = "run", **options: float) -> JobEvents:
    return JobEvents(FixedClock(), run, **options)


def event(job_id: int = 1, type_: EventType = EventType.STARTED, state: State = State.RUNNING, **members) -> JobEvent:
    of_event = {"at": NOW, "queue": "default", "context": "default", "key": None, "attempt": 1}
    return JobEvent(type_, job_id, state, **(of_event | members))


class Listener:
    """A reader that keeps up, and what it was told."""

    def __init__(self, reader: Reader, opening: bytes) -> None:
        self.reader = reader
        self.stream = opening
        self.is_cut_off = False

    @property
    def events(self) -> list[Told]:
        return events_in(self.stream)

    @property
    def jobs(self) -> list[int]:
        return [one.data["job_id"] for one in self.events if one.name != "reset"]

    async def read(self) -> bytes:
        data = await self.reader.read(QUIET)
        assert data != PING, self.stream
        self.stream += data
        return data

    async def read_jobs(self, count: int) -> list[int]:
        """The ids of the jobs that it has been told of as soon as there are so many."""
        while len(self.jobs) < count and await self.read():
            pass
        return self.jobs

    async def read_to_end(self) -> None:
        while await self.read():
            pass


@contextmanager
def listening(
    events: JobEvents, wanted: EventFilter = EVERYTHING, last_id: str = "", access: Access = EVERYBODY
) -> Iterator[Listener]:
    cut: list[Listener] = []
    with events.open(wanted, access, last_id, lambda: setattr(cut[0], "is_cut_off", True)) as (reader, opening):
        cut.append(Listener(reader, opening))
        yield cut[0]


async def test_events_of_a_job_come_in_order_with_growing_ids() -> None:
    events = hub()
    with listening(events) as listener:
        running = job(id=3, queue="mail", key="acme", context="app")
        events.added(3, new_job(queue="mail", key="acme", context="app"))
        events.started(running)
        events.ended(running, decided(running, OutcomeKind.FAILED, exit_code=503, error="503 Service Unavailable"))
        await listener.read_jobs(3)
    assert [(one.id, one.name) for one in listener.events] == [
        ("run-1", "job.added"),
        ("run-2", "job.started"),
        ("run-3", "job.failed"),
    ]
    assert all(one.data["type"] == one.name for one in listener.events)
    assert all(list(one.data) == list(EventView.__struct_fields__) for one in listener.events)
    assert listener.events[2].data == {
        "type": "job.failed",
        "job_id": 3,
        "state": "failed",
        "at": "2025-11-24T09:30:00.000000Z",
        "queue": "mail",
        "context": "app",
        "key": "acme",
        "attempt": 1,
        "outcome": "failed",
        "exit_code": 503,
        "error": "503 Service Unavailable",
        "reason": "503 Service Unavailable",
    }


@pytest.mark.parametrize(
    ("kind", "state", "type_"),
    [
        (OutcomeKind.SUCCEEDED, State.RUNNING, "job.completed"),
        (OutcomeKind.FAILED, State.RUNNING, "job.failed"),
        (OutcomeKind.CANCELLED, State.RUNNING, "job.cancelled"),
        (OutcomeKind.CANCELLED, State.AVAILABLE, "job.cancelled"),
        (OutcomeKind.INTERRUPTED, State.RUNNING, "job.retrying"),
        (OutcomeKind.LEASE_EXPIRED, State.RUNNING, "job.retrying"),
        (OutcomeKind.SNOOZED, State.RUNNING, "job.retrying"),
        (OutcomeKind.CONTINUED, State.RUNNING, "job.updated"),
    ],
)
async def test_type_of_an_end_follows_from_what_becomes_of_the_job(kind: OutcomeKind, state: State, type_: str) -> None:
    events = hub()
    with listening(events) as listener:
        one = job(state)
        change = decided(one, kind)
        events.ended(one, change)
        await listener.read_jobs(1)
    assert listener.events[0].name == type_
    assert listener.events[0].data["state"] == change.state


async def test_long_and_odd_texts_stay_one_line() -> None:
    events = hub()
    with listening(events) as listener:
        one = job(context='a"\u2028\u00e9')
        events.ended(one, decided(one, OutcomeKind.FAILED, error="x\r\n\n\0" * 1000))
        await listener.read_jobs(1)
    data = listener.events[0].data
    assert (len(data["error"]), len(data["reason"]), data["context"]) == (1000, 1000, 'a"\u2028\u00e9')


async def test_resumed_reader_hears_everything_once() -> None:
    events = hub()
    with listening(events) as listener:
        for job_id in range(1, 8):
            events.tell(event(job_id))
        await listener.read_jobs(7)
        for seen in listener.events:
            with listening(events, last_id=seen.id) as again:
                now = 7 + seen.number
                events.tell(event(now))
                assert await again.read_jobs(now - seen.number) == [*range(seen.number + 1, now + 1)]


async def test_reader_that_was_told_nothing_can_resume() -> None:
    events = hub()
    with listening(events) as listener:
        (opening,) = told(listener.stream)
    events.tell(event(1))
    with listening(events, last_id=opening.id) as again:
        assert await again.read_jobs(1) == [1]


@pytest.mark.parametrize("last_id", ["run-7", "other-1", "run-", "run-x", "1", "run-1-1", "run--1", "run-" + 99 * "9"])
async def test_unknown_id_gets_reset_first_and_then_what_happens_from_now_on(last_id: str) -> None:
    events = hub()
    with listening(events):
        events.tell(event(1))
        with listening(events, last_id=last_id) as listener:
            events.tell(event(2))
            await listener.read()
    assert [one.name for one in listener.events] == ["reset", "job.started"]
    assert listener.events[0].data == {"reason": "the event is not of this run of the server"}
    assert [one.number for one in listener.events] == [1, 2]


async def test_id_older_than_what_is_kept_gets_reset() -> None:
    events = hub(kept=10)
    with listening(events):
        for job_id in range(1, 21):
            events.tell(event(job_id))
        with listening(events, last_id="run-9") as too_old, listening(events, last_id="run-10") as oldest:
            assert too_old.events[0].data == {"reason": "the event is too old"}
            assert await oldest.read_jobs(10) == [*range(11, 21)]


async def test_events_are_kept_for_a_while_after_the_last_reader_and_then_forgotten() -> None:
    events = hub(keep_s=0.05)
    with listening(events) as listener:
        events.tell(event(1))
        await listener.read_jobs(1)
    assert events.is_heard
    events.tell(event(2))
    with listening(events, last_id="run-1") as again:
        assert await again.read_jobs(1) == [2]
    while events.is_heard:
        await asyncio.sleep(0.01)
    events.tell(event(3))
    with listening(events, last_id="run-2") as late:
        events.tell(event(4))
        await late.read_jobs(1)
    assert [one.name for one in late.events] == ["reset", "job.started"]
    assert late.jobs == [4]


async def test_reader_that_comes_back_in_time_keeps_the_events_alive() -> None:
    events = hub(keep_s=0.03)
    last_id = ""
    for job_id in range(1, 6):
        with listening(events, last_id=last_id) as listener:
            events.tell(event(job_id))
            assert (await listener.read_jobs(1))[-1] == job_id
            await asyncio.sleep(0.04)
            last_id = listener.events[-1].id
    assert last_id == "run-5"


FILTERS = {
    "type": EventFilter(types=frozenset({EventType.COMPLETED, EventType.FAILED})),
    "state": EventFilter(states=frozenset({State.RUNNING})),
    "queue": EventFilter(queue="mail"),
    "context": EventFilter(context="shop"),
    "queue and context": EventFilter(queue="mail", context="shop"),
    "type and queue": EventFilter(types=frozenset({EventType.STARTED}), queue="mail"),
    "job": EventFilter(job_id=2),
    "nothing there": EventFilter(queue="none"),
    "everything": EVERYTHING,
}


async def test_each_filter_lets_through_what_it_names_live_and_resumed() -> None:
    events = hub()
    happened = [
        event(number, type_, state, queue=queue, context=context)
        for number, (type_, state, queue, context) in enumerate(
            (
                (type_, state, queue, context)
                for type_, state in ((EventType.STARTED, State.RUNNING), (EventType.FAILED, State.FAILED))
                for queue in ("mail", "default")
                for context in ("shop", "default")
            ),
            start=1,
        )
    ]
    with ExitStack() as stack:
        stack.enter_context(listening(events))
        live = {name: stack.enter_context(listening(events, wanted)) for name, wanted in FILTERS.items()}
        for one in happened:
            events.tell(one)
        for name, wanted in FILTERS.items():
            expected = [one.job_id for one in happened if wanted.wants(one)]
            assert await live[name].read_jobs(len(expected)) == expected, name
            with listening(events, wanted, "run-1") as resumed:
                expected = [job_id for job_id in expected if job_id > 1]
                assert await resumed.read_jobs(len(expected)) == expected, name


async def test_readers_with_equal_filters_are_told_with_the_same_bytes() -> None:
    events = hub()
    with ExitStack() as stack:
        wanted = [EventFilter(queue="mail", types=frozenset({EventType.STARTED})) for _ in range(20)]
        readers = [stack.enter_context(listening(events, each)).reader for each in wanted]
        reading = [asyncio.create_task(reader.read(QUIET)) for reader in readers]
        await asyncio.sleep(0)
        events.tell(event(queue="mail"))
        pieces = await asyncio.gather(*reading)
    assert len({id(piece) for piece in pieces}) == 1


async def test_stream_of_a_job_ends_with_the_job() -> None:
    events = hub()
    with listening(events, EventFilter(job_id=7)) as listener:
        one = job()
        events.started(one)
        events.ended(one, decided(one, OutcomeKind.INTERRUPTED))
        await listener.read_jobs(2)
        events.tell(event(8, EventType.COMPLETED, State.COMPLETED))
        events.started(one)
        events.ended(one, decided(one))
        await listener.read_to_end()
    assert [one.name for one in listener.events] == [
        "job.started",
        "job.retrying",
        "job.started",
        "job.completed",
    ]


async def test_stream_of_a_job_that_was_tried_again_goes_on() -> None:
    events = hub()
    with listening(events):
        events.tell(event(7, EventType.FAILED, State.FAILED))
        events.tell(event(7, EventType.UPDATED, State.AVAILABLE))
        with listening(events, EventFilter(job_id=7), "run-0") as listener:
            assert await listener.read_jobs(2) == [7, 7]
            events.tell(event(7, EventType.STARTED))
            events.tell(event(7, EventType.COMPLETED, State.COMPLETED))
            await listener.read_to_end()
    assert len(listener.events) == 4


async def test_ping_comes_after_silence_only() -> None:
    events = hub()
    with listening(events) as listener:
        assert await listener.reader.read(0.01) == b": ping\n\n"
        events.tell(event())
        assert b"job.started" in await listener.reader.read(0.01)
        assert await listener.reader.read(0.01) == b": ping\n\n"


async def test_first_event_after_a_quiet_time_is_told_at_once_and_later_ones_together() -> None:
    events = hub()
    with listening(events) as listener:
        reading = asyncio.create_task(listener.read())
        await asyncio.sleep(0)
        events.tell(event(1))
        for _ in range(10):
            await asyncio.sleep(0)
        assert reading.done()
        for job_id in range(2, 100):
            events.tell(event(job_id))
        await listener.read()
        assert listener.jobs == [*range(1, 100)]


async def test_client_that_does_not_read_is_cut_off_and_others_notice_nothing() -> None:
    events = hub(kept=100)
    with listening(events) as stuck, listening(events) as keen:
        events.tell(event(1))
        assert await stuck.read()  # and it is never asked for more: these bytes don't leave
        for job_id in range(2, 1000):
            events.tell(event(job_id))
            if job_id % 50 == 0:
                await keen.read()
        await keen.read_jobs(999)
        assert stuck.is_cut_off
        assert await stuck.read() == b""
    assert keen.jobs == [*range(1, 1000)]
    assert not keen.is_cut_off


async def test_memory_stays_flat_while_a_client_does_not_read() -> None:
    events = hub(kept=1000)
    with listening(events) as stuck, listening(events) as keen:
        events.tell(event())
        assert await stuck.read()
        gc.collect()
        tracemalloc.start()
        try:
            for job_id in range(20_000):
                events.tell(event(job_id))
                if job_id % 100 == 0:
                    await keen.reader.read(QUIET)
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert stuck.is_cut_off
    assert not keen.is_cut_off
    assert grown < 2_000_000  # the events that are kept, and as many places in a group


async def test_more_than_can_be_told_is_a_reset_in_the_stream() -> None:
    events = hub(kept=100)
    with listening(events) as listener, listening(events, EventFilter(job_id=1)) as of_job:
        for job_id in range(1, 1000):
            events.tell(event(job_id))
        await listener.read()
        events.tell(event(1000))
        assert await listener.read_jobs(1) == [1000]
        await of_job.read_to_end()
    assert [(one.name, one.number) for one in listener.events] == [("reset", 999), ("job.started", 1000)]
    assert listener.events[0].data == {"reason": TOO_MUCH}
    assert [one.name for one in of_job.events] == ["reset"]
    assert not listener.is_cut_off


async def test_long_texts_are_kept_for_a_bounded_number_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "CHARACTERS_KEPT", 10_500)
    events = hub()
    with listening(events) as listener:
        for job_id in range(1, 31):
            events.tell(event(job_id, error="e" * 600, reason="r" * 400))
        with listening(events, last_id="run-19") as too_old, listening(events, last_id="run-20") as oldest:
            assert too_old.events[0].name == "reset"
            assert await oldest.read_jobs(10) == [*range(21, 31)]
        for job_id in range(31, 61):
            events.tell(event(job_id))
        await listener.read()
        with listening(events, last_id="run-20") as again:
            assert len(await again.read_jobs(40)) == 40


async def test_nobody_is_heard_while_nobody_listens() -> None:
    events = hub(keep_s=0)
    assert not events.is_heard
    with events.ends.of(1):
        assert events.is_heard
        with events.ends.of(2):
            pass
        assert events.is_heard
    assert not events.is_heard
    with listening(events):
        assert events.is_heard
    await asyncio.sleep(0.01)
    assert not events.is_heard


@pytest.mark.parametrize("how", ["ended", "told", "deleted"])
async def test_end_of_a_job_is_told_to_all_who_wait_for_it_and_nobody_else(how: str) -> None:
    events = hub()
    with events.ends.of(7) as one, events.ends.of(7) as two, events.ends.of(8) as other:
        running = job()
        events.started(running)
        events.ended(running, decided(running, OutcomeKind.INTERRUPTED))
        assert not one.done()
        match how:
            case "ended":
                events.ended(running, decided(running))
            case "told":
                events.tell(event(7, EventType.CANCELLED, State.CANCELLED))
            case _:
                events.tell(event(7, EventType.DELETED, State.FAILED))
        assert (one.done(), two.done(), other.done()) == (True, True, False)
        events.ended(running, decided(running))


async def test_close_ends_every_stream_with_what_has_happened_and_lets_nobody_wait() -> None:
    events = hub()
    with listening(events) as behind, listening(events) as idle, listening(events) as stuck:
        events.tell(event(1))
        await stuck.read()
        await idle.read()
        idling = asyncio.create_task(idle.read_to_end())
        await asyncio.sleep(0)
        events.tell(event(2))
        with events.ends.of(1) as end:
            events.close()
            assert end.done()
        with events.ends.of(2) as late:
            assert late.done()
        await behind.read_to_end()
        await idling
        assert (behind.jobs, idle.jobs) == ([1, 2], [1, 2])
        assert (behind.is_cut_off, idle.is_cut_off, stuck.is_cut_off) == (False, False, True)
        with listening(events) as after:
            assert await after.read() == b""
    assert events.is_closed
