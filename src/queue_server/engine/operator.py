"""Carries out operations on many jobs, page by page, with pauses so that nobody waits for it.

Each page and the operation's progress are one transaction: after a restart it goes on where it was. Several nodes may
work on one operation: a page that another one has done meanwhile is refused.
"""

import asyncio
from collections.abc import Callable

from queue_server.clock import Clock
from queue_server.domain.errors import QueueServerError
from queue_server.store.contract import Amended, Operation, OperationState, Rule, Step, Store
from queue_server.telemetry.logs import Log

PAGE = 200
PAUSE_S = 0.005
POLL_S = 5.0


class Operator:
    """Works on all open operations, the oldest first. `rule_of` says what each does, `amended` hears what was done."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        rule_of: Callable[[Operation], Rule],
        amended: Callable[[Amended], None],
        log: Log,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rule_of = rule_of
        self._amended = amended
        self._log = log

    async def look(self) -> None:
        """Carry out all operations that are open now."""
        for operation in await self._store.open_operations():
            await self._carry_out(operation)

    async def _carry_out(self, operation: Operation) -> None:
        current: Operation | None = operation
        try:
            rule = self._rule_of(operation)
        except QueueServerError as error:
            await self._store.amend((), _nothing, self._last_step(operation, OperationState.FAILED, str(error)))
            return
        while current is not None and current.state is OperationState.RUNNING:
            await self._do_page(current, rule)
            await asyncio.sleep(PAUSE_S)
            current = await self._store.operation(operation.id)
        if current is not None:
            self._log.info(
                f"operation {current.id} {current.state}",
                action=current.action,
                done=current.done,
                skipped=current.skipped,
            )

    async def _do_page(self, operation: Operation, rule: Rule) -> None:
        page = await self._store.find_ids(operation.filter, after=operation.next_id, last=operation.last_id, limit=PAGE)
        if page.next_after is None:
            step = self._last_step(operation, OperationState.COMPLETED, None)
        else:
            step = Step(operation_id=operation.id, next_id=page.next_after, after=operation.next_id)
        for amended in await self._store.amend(page.ids, rule, step):
            self._amended(amended)

    def _last_step(self, operation: Operation, state: OperationState, error: str | None) -> Step:
        return Step(
            operation_id=operation.id,
            next_id=operation.last_id,
            after=operation.next_id,
            state=state,
            ended_at=self._clock.now(),
            error=error,
        )


def _nothing(_record: object) -> None:
    """Change nothing."""
