"""The audit log: every management action, durable before its answer, and a line in the server's log."""

from collections.abc import Sequence

from queue_server.clock import Clock
from queue_server.domain.access import Access
from queue_server.domain.audit import Act
from queue_server.store.keeping import AuditStore
from queue_server.telemetry.logs import Log

TEXT_LIMIT = 2000
"""Characters of a target or of details: a filter may be long, the log stays readable."""


class Audit:
    """Takes what was done, and shows it."""

    def __init__(self, store: AuditStore, clock: Clock, log: Log) -> None:
        self._store = store
        self._clock = clock
        self._log = log

    async def record(
        self,
        access: Access,
        address: str,
        action: str,
        target: str,
        *,
        count: int | None = None,
        details: str = "",
    ) -> None:
        """Remember an action; it is durable when this returns. StoreUnavailable if it can't be written."""
        act = Act(
            at=self._clock.now(),
            who=access.name,
            token_id=access.token_id,
            address=address,
            action=action,
            target=target[:TEXT_LIMIT],
            count=count,
            details=details[:TEXT_LIMIT],
        )
        await self._store.add_act(act)
        facts = {"count": count} if count is not None else {}
        self._log.info(f"audit: {act.action}", who=act.who, address=act.address, target=act.target, **facts)

    async def acts(self, before_id: int, limit: int) -> Sequence[Act]:
        """Actions with smaller ids, newest first."""
        return await self._store.acts(before_id, limit)
