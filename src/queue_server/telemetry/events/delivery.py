"""Which readers an event is for, and when they are told.

An event finds its groups by its queue, context and job, so the number of other filters costs it nothing. Readers are
told at once after a quiet time, and under load of everything that has collected, in turns (see pace.py).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from queue_server.telemetry.events.event import JobEvent
from queue_server.telemetry.events.filters import EventFilter, Place
from queue_server.telemetry.events.group import Group
from queue_server.telemetry.events.pace import Pace
from queue_server.telemetry.events.reader import Reader
from queue_server.telemetry.events.recent import RecentEvents

EVERYWHERE: Place = (None, None)

K = TypeVar("K")


class Delivery:
    """The groups of readers and their turns."""

    def __init__(self, recent: RecentEvents) -> None:
        self._recent = recent
        self._pace = Pace()
        self._loop = asyncio.get_running_loop()
        self._groups: dict[EventFilter, Group] = {}
        self._everywhere: list[Group] = []
        self._placed: dict[Place, list[Group]] = {}
        self._of_jobs: dict[int, list[Group]] = {}
        self._news: dict[Group, None] = {}
        self._turn: asyncio.TimerHandle | None = None
        self._next_turn_at = 0.0
        self.readers: dict[Reader, Group] = {}

    def open(self, wanted: EventFilter, missed: Iterable[int], drop: Callable[[], None]) -> Reader:
        """A reader of the events from now on, and before them of those that it wants of what it `missed`."""
        group = self._groups.get(wanted) or self._add_group(wanted)
        numbers = [number for number in missed if wanted.wants(self._recent.event(number))]
        reader = Reader(self._recent, self._pace, group, numbers, ask=self._ask, drop=drop)
        group.readers[reader] = None
        self.readers[reader] = group
        self._pace.readers = len(self.readers)
        return reader

    def leave(self, reader: Reader) -> None:
        """The reader's client is gone."""
        group = self.readers.pop(reader)
        del group.readers[reader]
        self._pace.readers = len(self.readers)
        if not group.readers:
            self._remove_group(group)

    def tell(self, number: int, event: JobEvent) -> None:
        """An event has happened, and is kept under this number."""
        for group in self._everywhere:
            self._offer(group, number, event)
        if self._of_jobs:
            for group in self._of_jobs.get(event.job_id, ()):
                self._offer(group, number, event)
        if self._placed:
            queue, context = event.queue, event.context
            for place in ((queue, context), (queue, None), (None, context)):
                for group in self._placed.get(place, ()):
                    self._offer(group, number, event)

    def close(self) -> None:
        """Have all streams end with what has happened so far."""
        for reader in tuple(self.readers):
            reader.close()

    def _offer(self, group: Group, number: int, event: JobEvent) -> None:
        if group.wants_all_of_its_place or group.wanted.wants(event):
            group.add(number)
            if group not in self._news:
                self._ask(group)

    def _ask(self, group: Group) -> None:
        """Have the group's readers told in the next turn."""
        self._news[group] = None
        if self._turn is None:
            self._turn = self._loop.call_at(max(self._next_turn_at, self._loop.time()), self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        news, self._news = self._news, {}
        told = sum([group.wake() for group in news])
        self._next_turn_at = self._loop.time() + self._pace.pause_s(told)

    def _add_group(self, wanted: EventFilter) -> Group:
        group = self._groups[wanted] = Group(wanted, self._recent, self._pace)
        if wanted.job_id is not None:
            self._of_jobs.setdefault(wanted.job_id, []).append(group)
        for place in self._places(wanted):
            self._groups_of(place).append(group)
        return group

    def _remove_group(self, group: Group) -> None:
        wanted = group.wanted
        del self._groups[wanted]
        self._news.pop(group, None)
        if wanted.job_id is not None:
            _take_out(self._of_jobs, wanted.job_id, group)
        for place in self._places(wanted):
            if place == EVERYWHERE:
                self._everywhere.remove(group)
            else:
                _take_out(self._placed, place, group)

    def _groups_of(self, place: Place) -> list[Group]:
        return self._everywhere if place == EVERYWHERE else self._placed.setdefault(place, [])

    def _places(self, wanted: EventFilter) -> list[Place]:
        """The places by which an event finds a group that is not for one job."""
        return [] if wanted.job_id is not None else wanted.places


def _take_out(groups: dict[K, list[Group]], key: K, group: Group) -> None:
    groups[key].remove(group)
    if not groups[key]:
        del groups[key]
