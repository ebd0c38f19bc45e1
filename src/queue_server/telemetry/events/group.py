"""Readers that want the same events, and so are told with the same bytes."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from queue_server.telemetry.events.filters import EventFilter
from queue_server.telemetry.events.pace import Pace
from queue_server.telemetry.events.recent import RecentEvents


class Wakeable(Protocol):
    """A member of a group."""

    def wake(self) -> bool:
        """There is something new. Whether the reader goes to fetch it."""
        ...


class Piece(NamedTuple):
    """Some events as bytes. `place` is the reader's after them."""

    data: bytes
    place: int


class Group:
    """The numbers of the events that one filter lets through. A reader's place is how many of them lie behind it."""

    def __init__(self, wanted: EventFilter, recent: RecentEvents, pace: Pace) -> None:
        self.wanted = wanted
        self.wants_all_of_its_place = wanted.wants_all_of_its_place
        self.readers: dict[Wakeable, None] = {}
        self._recent = recent
        self._pace = pace
        self._numbers: list[int] = []
        self._start = 0
        self._shared = (-1, -1, Piece(b"", 0))

    @property
    def end(self) -> int:
        """The place of a reader that has read everything."""
        return self._start + len(self._numbers)

    def add(self, number: int) -> None:
        """Have the readers told of an event, when their time comes."""
        self._numbers.append(number)
        if len(self._numbers) >= 2 * self._recent.kept:
            del self._numbers[: self._recent.kept]
            self._start += self._recent.kept

    def wake(self) -> int:
        """Have all readers that wait come for what is new; how many those are."""
        return sum([reader.wake() for reader in tuple(self.readers)])

    def has_forgotten(self, place: int) -> bool:
        """Whether the event after this place can't be told any more."""
        return place < self.end and (place < self._start or self._numbers[place - self._start] < self._recent.first)

    def last_before(self, place: int) -> int:
        """The number of the event before this place, which is neither forgotten nor the beginning."""
        return self._numbers[place - 1 - self._start]

    def piece_after(self, place: int) -> Piece:
        """The next events after a place. Readers that have kept in step share one piece."""
        began, end, piece = self._shared
        if began != place or end != self.end:
            numbers = self._numbers[place - self._start :]
            data, count = join(self._recent, numbers, self._pace.piece_bytes)
            piece = Piece(data, place + count)
            self._shared = (place, self.end, piece)
        return piece


def join(recent: RecentEvents, numbers: Sequence[int], enough: int) -> tuple[bytes, int]:
    """The first of these events until it is `enough` bytes, and how many events that is."""
    frames: list[bytes] = []
    size = 0
    for number in numbers:
        frame = recent.frame(number)
        frames.append(frame)
        size += len(frame)
        if size >= enough:
            break
    return b"".join(frames), len(frames)
