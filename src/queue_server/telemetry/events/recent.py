"""The last events, numbered without gaps, so that a reader can go on where it was cut off."""

from collections.abc import Sequence
from typing import cast

from queue_server.telemetry.events.event import JobEvent
from queue_server.telemetry.events.frames import Frames

EVENTS_KEPT = 20_000
"""Twice the largest batch of jobs that is added at once."""

CHARACTERS_KEPT = 4_000_000
"""Of errors and reasons, which are all of an event that can be long."""


class RecentEvents:
    """A ring of events; each is encoded once, when the first reader wants it."""

    def __init__(self, frames: Frames, kept: int = EVENTS_KEPT) -> None:
        self.frames = frames
        self.kept = kept
        self.first = 1
        self.last = 0
        self._events: list[JobEvent | None] = [None] * kept
        self._encoded: list[bytes | None] = [None] * kept
        self._characters = 0

    def add(self, event: JobEvent) -> int:
        """Keep an event; its number."""
        self.last = number = self.last + 1
        slot = number % self.kept
        if self._events[slot] is not None:
            self._forget_first()
        self._events[slot] = event
        self._encoded[slot] = None
        if event.reason or event.error:
            self._characters += _characters(event)
            while self._characters > CHARACTERS_KEPT and self.first < number:
                self._forget_first()
        return number

    def event(self, number: int) -> JobEvent:
        """An event that is kept."""
        return cast("JobEvent", self._events[number % self.kept])

    def frame(self, number: int) -> bytes:
        """The bytes of an event that is kept."""
        slot = number % self.kept
        frame = self._encoded[slot]
        if frame is None:
            frame = self._encoded[slot] = self.frames.event(number, self.event(number))
        return frame

    def after(self, id_: str) -> tuple[Sequence[int], str]:
        """The numbers of the events after the one with this id; or why they can't all be told."""
        number = self.frames.number_of(id_)
        if number is None or number > self.last:
            return (), "the event is not of this run of the server"
        if number < self.first - 1:
            return (), "the event is too old"
        return range(number + 1, self.last + 1), ""

    def clear(self) -> None:
        """Forget all events. A number is left out: nobody can go on after the last event, as others will be missed."""
        self._events = [None] * self.kept
        self._encoded = [None] * self.kept
        self._characters = 0
        self.last += 1
        self.first = self.last + 1

    def _forget_first(self) -> None:
        slot = self.first % self.kept
        event = self._events[slot]
        if event is not None and (event.reason or event.error):
            self._characters -= _characters(event)
        self._events[slot] = self._encoded[slot] = None
        self.first += 1


def _characters(event: JobEvent) -> int:
    return len(event.reason) + len(event.error or "")
