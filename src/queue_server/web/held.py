"""Request bodies that are on their way in, or not answered yet: how many bytes they may hold in all.

When that is too much, it is the caller who holds most that loses a request, so that one who floods the server with
large bodies can't keep the others' out.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Protocol

from queue_server.web.errors import Failure

HELD_FACTOR = 4
HELD_LEAST = 256 * 1024 * 1024
"""Bytes of bodies that may be held: these, or four of the largest batches if that is more."""


class Holder(Protocol):
    """A connection whose request has a body."""

    @property
    def is_receiving(self) -> bool:
        """Whether the body is still arriving, so that it can be refused."""
        ...

    def refuse(self, failure: Failure) -> None:
        """Answer with the failure and close."""
        ...


class HeldBodies:
    """Counts the bytes of bodies by connection and by caller."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0
        self._sizes: dict[Holder, int] = {}
        self._callers: dict[Holder, Hashable] = {}
        self._by_caller: Counter[Hashable] = Counter()
        sentence = f"too many large requests are on their way in: their bodies may hold {most} bytes in all"
        self._failure = Failure(503, sentence, headers={"Retry-After": "2"})

    def grow(self, holder: Holder, caller: Hashable, size: int) -> None:
        """Count more bytes of a body; refuses one of the caller who holds most if that is too much."""
        caller = self._callers.setdefault(holder, caller)
        self._sizes[holder] = self._sizes.get(holder, 0) + size
        self._by_caller[caller] += size
        self.total += size
        while self.total > self.most and holder in self._sizes:
            victim = self._heaviest(holder)
            self.release(victim)
            victim.refuse(self._failure)

    def release(self, holder: Holder) -> None:
        """Forget a body."""
        size = self._sizes.pop(holder, 0)
        if not size:
            return
        caller = self._callers.pop(holder)
        self.total -= size
        self._by_caller[caller] -= size
        if not self._by_caller[caller]:
            del self._by_caller[caller]

    def _heaviest(self, newest: Holder) -> Holder:
        """The largest body that is still arriving of the caller who holds most, or the newest where none is."""
        caller = max(self._by_caller, key=lambda one: self._by_caller[one])
        own = [one for one, its in self._callers.items() if its == caller and one.is_receiving]
        return max(own, key=lambda one: self._sizes[one], default=newest)


def held_most(max_batch: int) -> int:
    """How many bytes may be held where the largest batch has so many."""
    return max(HELD_LEAST, HELD_FACTOR * max_batch)
