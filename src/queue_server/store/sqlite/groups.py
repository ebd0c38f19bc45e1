"""Which pieces of work share a transaction.

All that has collected does, but for large batches: whoever shares a transaction waits for all of it, and everybody else
for its end. A group has only as many of them as keep it short; the others wait for the next one, in order of arrival. A
batch that is too large to share is written alone, in turns with what is small (docs/decisions/0026).
"""

from collections import deque
from collections.abc import Iterator

from queue_server.store.sqlite.work import Add, AddOnce, Work

PIECES_LIMIT = 512
"""Small pieces of work in one transaction: enough to make the fsync cheap, few enough to keep answers quick."""

SMALL_ROWS = 20
"""Jobs in a small add: PIECES_LIMIT of them are no more than one of the largest batches."""

LARGE_ROWS = 4_000
"""Jobs of large adds in one transaction: about 50 ms, so many times the fsync that more of them gain little."""

ADDS = Add, AddOnce


class Groups:
    """Work that waits for its transaction. Used by the writer's thread only."""

    def __init__(self) -> None:
        self._small: deque[Work] = deque()
        self._large: deque[Add | AddOnce] = deque()
        self._is_large_due = False

    def __bool__(self) -> bool:
        return bool(self._small or self._large)

    def put(self, work: Work) -> None:
        """Take a piece of work."""
        if isinstance(work, ADDS) and len(work.jobs) > SMALL_ROWS:
            self._large.append(work)
        else:
            self._small.append(work)

    def next(self) -> list[Work]:
        """The work of the next transaction; none where nothing waits."""
        if not self._large:
            return self._next_small()
        shared = list(self._shared())
        if not shared and (self._is_large_due or not self._small):
            self._is_large_due = False
            return [self._large.popleft()]
        self._is_large_due = bool(self._large)
        return self._next_small() + shared

    def _next_small(self) -> list[Work]:
        if len(self._small) > PIECES_LIMIT:
            return [self._small.popleft() for _ in range(PIECES_LIMIT)]
        small = list(self._small)
        self._small.clear()
        return small

    def _shared(self) -> Iterator[Work]:
        """The first of the large adds, as long as they are no more than LARGE_ROWS together."""
        left = LARGE_ROWS
        while self._large and len(self._large[0].jobs) <= left:
            left -= len(self._large[0].jobs)
            yield self._large.popleft()
