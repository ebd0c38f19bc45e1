"""Actions on many jobs at once: counted first, then carried out in pages as an operation that survives a restart."""

import asyncio
from collections.abc import Callable, Sequence
from typing import assert_never

from queue_server.clock import Clock
from queue_server.domain.access import Access
from queue_server.domain.errors import QueueServerError
from queue_server.domain.revising import read_patch
from queue_server.operations.binding import encloses, within
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
LOOK_PAGE, LOOK_PAGES = 200, 25
"""How many operations are looked at for those that a bound access sees."""


class Many:
    """Starts operations, shows them and ends them early. `started` is called so that they begin at once.

    A bound access acts on the jobs that it sees, and sees the operations whose filter is for such jobs only.
    """

    def __init__(self, store: Store, rules: Rules, clock: Clock, started: Callable[[], None]) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._started = started

    async def count(self, wanted: JobFilter, access: Access) -> int:
        """How many jobs match now, in whatever state."""
        return await self._count(within(wanted, access), await self._store.last_id())

    async def start(
        self, action: Action, wanted: JobFilter, access: Access, *, reason: str = "", changes: bytes = b""
    ) -> Operation:
        """Have the action done for every job that matches now; jobs that are added later are left alone.

        NotAllowed where no job may be changed like this.
        """
        self._rules.check_changes(read_patch(changes), access)
        wanted = within(wanted, access)
        last_id = await self._store.last_id()
        operation_id = await self._store.add_operation(
            NewOperation(
                action=action,
                filter=wanted,
                reason=reason,
                changes=self._rules.stored_changes(changes),
                last_id=last_id,
                matched=await self._count(wanted, last_id),
                created_at=self._clock.now(),
                access=access,
            )
        )
        self._started()
        operation = await self._store.operation(operation_id)
        if operation is None:
            raise QueueServerError(f"operation {operation_id} has vanished")
        return operation

    async def operation(self, operation_id: int, access: Access, wait_s: float = 0.0) -> Operation | None:
        """One operation; when it is over, or after `wait_s` seconds as it is."""
        end = self._clock.monotonic() + wait_s
        operation = await self._operation(operation_id, access)
        while operation and operation.state is OperationState.RUNNING and self._clock.monotonic() < end:
            await asyncio.sleep(LOOK_AGAIN_S)
            operation = await self._operation(operation_id, access)
        return operation

    async def operations(self, before_id: int, access: Access, limit: int) -> tuple[Sequence[Operation], int | None]:
        """Operations with smaller ids, newest first, and the id before which to go on, None at the end."""
        seen: list[Operation] = []
        for _ in range(LOOK_PAGES):
            found = await self._store.operations(before_id, LOOK_PAGE)
            seen += [operation for operation in found if encloses(access, operation.filter)]
            if len(seen) > limit:
                return seen[:limit], seen[limit - 1].id
            if len(found) < LOOK_PAGE:
                return seen, None
            before_id = found[-1].id
        return seen, before_id

    async def cancel(self, operation_id: int, access: Access) -> Operation | None:
        """Leave the rest undone; one that is over stays as it is."""
        operation = await self._operation(operation_id, access)
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

    async def _operation(self, operation_id: int, access: Access) -> Operation | None:
        operation = await self._store.operation(operation_id)
        return operation if operation is not None and encloses(access, operation.filter) else None

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
            return rules.cancel(operation.reason, operation.access)
        case "retry":
            return rules.retry(rules.changes_of(operation.changes), operation.access)
        case "delete":
            return rules.remove(operation.access)
        case _:
            assert_never(operation.action)
