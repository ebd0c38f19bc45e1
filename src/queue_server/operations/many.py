"""Actions on many jobs at once: counted first, then carried out in pages as an operation that survives a restart."""

import asyncio
from collections.abc import Callable, Sequence
from typing import assert_never

from queue_server.clock import Clock
from queue_server.domain.errors import QueueServerError
from queue_server.domain.revising import read_patch
from queue_server.operations.manage import Rules
from queue_server.store.contract import (
    Action,
    JobFilter,
    NewOperation,
    Operation,
    OperationState,
    Rule,
    Step,
    Store,
)

COUNT_PAGE = 10_000
LOOK_AGAIN_S = 0.1


class Many:
    """Starts operations, shows them and ends them early. `started` is called so that they begin at once."""

    def __init__(self, store: Store, clock: Clock, started: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._started = started

    async def count(self, wanted: JobFilter) -> int:
        """How many jobs match now, in whatever state."""
        return await self._count(wanted, await self._store.last_id())

    async def start(self, action: Action, wanted: JobFilter, *, reason: str = "", changes: bytes = b"") -> Operation:
        """Have the action done for every job that matches now; jobs that are added later are left alone."""
        last_id = await self._store.last_id()
        operation_id = await self._store.add_operation(
            NewOperation(
                action=action,
                filter=wanted,
                reason=reason,
                changes=changes.decode(),
                last_id=last_id,
                matched=await self._count(wanted, last_id),
                created_at=self._clock.now(),
            )
        )
        self._started()
        operation = await self._store.operation(operation_id)
        if operation is None:
            raise QueueServerError(f"operation {operation_id} has vanished")
        return operation

    async def operation(self, operation_id: int, wait_s: float = 0.0) -> Operation | None:
        """One operation; when it is over, or after `wait_s` seconds as it is."""
        end = self._clock.monotonic() + wait_s
        operation = await self._store.operation(operation_id)
        while operation and operation.state is OperationState.RUNNING and self._clock.monotonic() < end:
            await asyncio.sleep(LOOK_AGAIN_S)
            operation = await self._store.operation(operation_id)
        return operation

    async def operations(self, before_id: int, limit: int) -> Sequence[Operation]:
        """Operations with smaller ids, newest first."""
        return await self._store.operations(before_id, limit)

    async def cancel(self, operation_id: int) -> Operation | None:
        """Leave the rest undone; one that is over stays as it is."""
        operation = await self._store.operation(operation_id)
        if operation is None or operation.state is not OperationState.RUNNING:
            return operation
        step = Step(
            operation_id=operation_id,
            next_id=operation.next_id,
            state=OperationState.CANCELLED,
            ended_at=self._clock.now(),
        )
        await self._store.amend((), lambda _record: None, step)
        return await self._store.operation(operation_id)

    async def _count(self, wanted: JobFilter, last_id: int) -> int:
        count, after = 0, 0
        while True:
            page = await self._store.find_ids(wanted, after=after, last=last_id, limit=COUNT_PAGE)
            count += len(page.ids)
            if page.next_after is None:
                return count
            after = page.next_after


def rule_of(rules: Rules, operation: Operation) -> Rule:
    """What an operation does with each of its jobs."""
    match operation.action:
        case "cancel":
            return rules.cancel(operation.reason)
        case "retry":
            return rules.retry(read_patch(operation.changes.encode()))
        case "delete":
            return rules.remove()
        case _:
            assert_never(operation.action)
