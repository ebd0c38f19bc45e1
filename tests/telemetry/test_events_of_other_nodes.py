"""Events of one node are heard on the others, by those who listen there and by nobody else."""

import asyncio
from collections.abc import Callable

import pytest

from queue_server.domain.access import EVERYBODY
from queue_server.domain.outcome import OutcomeKind
from queue_server.store.channels import Channels
from queue_server.telemetry.events.filters import EVERYTHING
from queue_server.telemetry.job_events import JobEvents
from tests.builders.event_streams import events_in
from tests.builders.jobs import NOW, decided, job, new_job


class FixedClock:
    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class Wire:
    """A relay between two nodes that loses nothing; notes what was sent."""

    def __init__(self) -> None:
        self.other: Wire | None = None
        self.is_wanting = False
        self.sent: list[bytes] = []
        self._listeners: list[Callable[[bytes], None]] = []

    @property
    def is_relaying(self) -> bool:
        assert self.other
        return self.other.is_wanting

    def relay(self, message: bytes) -> None:
        assert self.other
        self.sent.append(message)
        for listener in self.other._listeners:
            listener(message)

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        self._listeners.append(listener)

    def want_relayed(self, wanted: bool) -> None:
        self.is_wanting = wanted


def wires() -> tuple[Wire, Wire]:
    here, there = Wire(), Wire()
    here.other, there.other = there, here
    return here, there


def hub(wire: Wire, run: str) -> JobEvents:
    return JobEvents(FixedClock(), run, others=Channels(wire).open(b"e"), keep_s=0.01)


async def test_reader_hears_what_happens_on_another_node() -> None:
    here, there = wires()
    reading, working = hub(here, "here"), hub(there, "there")
    with reading.open(EVERYTHING, EVERYBODY, "", lambda: None) as (reader, _opening):
        assert working.is_heard
        working.added(7, new_job())
        working.started(job())
        working.ended(job(), decided(job(), OutcomeKind.SUCCEEDED))
        stream = b""
        async with asyncio.timeout(5):
            while len(events_in(stream)) < 3:
                stream += await reader.read(5)
    told = events_in(stream)
    assert [one.name for one in told] == ["job.added", "job.started", "job.completed"]
    assert [one.id for one in told] == ["here-1", "here-2", "here-3"], "the ids are those of the node that is asked"
    assert len(there.sent) == 1, "what happens together is one message"
    assert here.sent == [], "what was heard is not told again"


async def test_nodes_tell_nothing_that_nobody_hears() -> None:
    here, there = wires()
    reading, working = hub(here, "here"), hub(there, "there")
    working.added(7, new_job())
    with reading.open(EVERYTHING, EVERYBODY, "", lambda: None):
        pass
    while here.is_wanting:
        await asyncio.sleep(0.01)
    assert not working.is_heard
    working.added(8, new_job())
    working.close()
    assert there.sent == []


async def test_who_waits_for_an_end_hears_of_it_from_another_node() -> None:
    here, there = wires()
    waiting, working = hub(here, "here"), hub(there, "there")
    here.is_wanting = True
    with waiting.ends.of(job().id) as end:
        assert [*waiting.ends.ids] == [job().id]
        working.ended(job(), decided(job(), OutcomeKind.SUCCEEDED))
        working.close()
        await asyncio.wait_for(end, 5)


@pytest.mark.parametrize("message", [b"", b"e", b"e\xc1", b"e\x91\x80", b"ex", b"unknown"])
async def test_message_that_can_not_be_read_is_nothing(message: bytes) -> None:
    here, there = wires()
    reading = hub(here, "here")
    with reading.open(EVERYTHING, EVERYBODY, "", lambda: None) as (reader, _opening):
        there.relay(message)
        assert b"data" not in await reader.read(0.05)
