"""Deletes final jobs whose retention is over, in small pages with pauses, so that nobody waits for it."""

import asyncio
from collections.abc import Mapping

from queue_server.clock import Clock
from queue_server.domain.state import State
from queue_server.store.contract import Store
from queue_server.telemetry.logs import Log

ROUND_S = 60.0
PAGE = 200
PAUSE_S = 0.05
SECOND = 1_000_000


class Cleaner:
    """Keeps the store small. `retention` says for each final state how many seconds a job is kept.

    `keep_acts_s` is how long the audit log keeps an action.
    """

    def __init__(
        self, store: Store, clock: Clock, retention: Mapping[State, float], keep_acts_s: float, log: Log
    ) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._keep_acts_s = keep_acts_s
        self._log = log

    async def clean(self) -> int:
        """Delete every job whose retention is over; how many there were."""
        now, deleted = self._clock.now(), 0
        await self._clean_audit_log(now)
        before = {state: now - round(seconds * SECOND) for state, seconds in self._retention.items()}
        while count := await self._store.purge(before, now, PAGE):
            deleted += count
            await asyncio.sleep(PAUSE_S)
        if deleted:
            self._log.info("old jobs and keys deleted", rows=deleted)
        return deleted

    async def _clean_audit_log(self, now: int) -> None:
        before = now - round(self._keep_acts_s * SECOND)
        deleted = PAGE
        while deleted == PAGE:
            deleted = await self._store.purge_acts(before, PAGE)
            await asyncio.sleep(PAUSE_S)
