"""Where the next claim begins to look, so that it does not step over the rows that claims before it have left.

An index keeps the entries of jobs that are not available any more until a vacuum or a purge, and a claim that walks it
from its beginning passes all of them: after 100,000 claimed jobs it takes ten times as long (measured:
docs/decisions/0032). So it begins behind the last job of the claim before. What this node puts before that place is
told to `came`; what other nodes do is found by a claim that looks from the beginning: twice a second, and whenever
nothing was found otherwise.
"""

from collections.abc import Callable, Iterable

from queue_server.domain.job import PRIORITY_MAX, NewJob
from queue_server.domain.state import State

Place = tuple[int, int, int]
"""rank, run_at, id: the order of claims."""

BEGINNING: Place = (-1, 0, 0)
SKIP_S = 0.5


class Front:
    """The place behind which http jobs are looked for. Used in one event loop."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._place = BEGINNING
        self._whole_at = 0.0
        self._lowest: tuple[int, int] | None = None

    def begin(self) -> Place:
        """Where a claim begins to look."""
        self._lowest = None
        now = self._monotonic()
        if now - self._whole_at >= SKIP_S:
            self._place = BEGINNING
        if self._place == BEGINNING:
            self._whole_at = now
        return self._place

    def took(self, last: Place | None) -> None:
        """A claim has been committed that found http jobs up to this place; None if it found none."""
        if last is None or (self._lowest is not None and self._lowest <= last[:2]):
            self._place = BEGINNING
        else:
            self._place = last

    def came(self, jobs: Iterable[NewJob]) -> None:
        """Jobs have been stored."""
        for job in jobs:
            if job.state is State.AVAILABLE:
                self.came_to(PRIORITY_MAX - job.priority, job.run_at)

    def came_to(self, rank: int, run_at: int) -> None:
        """A job has become available."""
        place = (rank, run_at)
        if self._lowest is None or place < self._lowest:
            self._lowest = place
        if place <= self._place[:2]:
            self._place = BEGINNING

    def forget(self) -> None:
        """Jobs may have become available anywhere."""
        self.came_to(*BEGINNING[:2])
