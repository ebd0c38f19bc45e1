"""The right of this node to run its jobs. On a shared database it ends by itself, before others may take them.

Whoever has been paused, or cut off from the database, can't know what others have done meanwhile: it stops its work
first. Its results would be dropped anyway (they are fenced by their claims), what its jobs do to the world would not.
"""

import asyncio
import threading
from collections.abc import Callable

from queue_server.store.contract import LEASE_S

HELD_S = LEASE_S - 3.0
"""How old the last confirmed heartbeat may be. So long before others act the work here is over."""

WATCH_S = 0.5


class Lease:
    """Held while heartbeats are confirmed. `steady` tells microseconds and goes on while the machine sleeps.

    Any thread may use it.
    """

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady
        self._lock = threading.Lock()
        self._confirmed_at = steady()
        self._is_held = True
        self._losses = 0

    def confirm(self, asked_at: int) -> None:
        """A heartbeat is written that was asked for at `asked_at`. One that took too long says nothing."""
        with self._lock:
            self._check()
            if self._is_young(asked_at):
                self._confirmed_at = asked_at
                self._is_held = True

    def look(self) -> tuple[bool, int]:
        """Whether it is held, and how often it was lost: also where it was regained before anybody looked."""
        with self._lock:
            self._check()
            return self._is_held, self._losses

    def _check(self) -> None:
        if self._is_held and not self._is_young(self._confirmed_at):
            self._is_held = False
            self._losses += 1

    def _is_young(self, asked_at: int) -> bool:
        return self._steady() - asked_at < HELD_S * 1_000_000


class LeaseWatch:
    """Tells `lost` whenever the lease has been lost, and `regained` when it is held again."""

    def __init__(self, lease: Lease, lost: Callable[[], None], regained: Callable[[], None]) -> None:
        self._lease = lease
        self._lost = lost
        self._regained = regained
        self._losses: int = 0
        self.is_held = True

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            self.look()

    def look(self) -> None:
        """Look once."""
        is_held, losses = self._lease.look()
        if losses != self._losses:
            self._losses, self.is_held = losses, False
            self._lost()
        if is_held and not self.is_held:
            self.is_held = True
            self._regained()
