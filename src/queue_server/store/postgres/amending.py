"""Applying what a rule makes of jobs, in a transaction that has locked them.

The wishes of one node take turns: of two for one job the first that came is the first that is granted.
"""

import asyncio
from collections.abc import Callable, Sequence

from queue_server.domain.errors import QueueServerError, StoreError
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.domain.wishes import Answer, CancelWish, Extension, Removal, Revision
from queue_server.store.amending import answered, count_changed
from queue_server.store.contract import Amended, NewOperation, Rule, Step
from queue_server.store.postgres.inserting import earliest
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import Session
from queue_server.store.postgres.statements import columns
from queue_server.store.postgres.turns import finish
from queue_server.store.rows.jobs import record_of_row, revision_row, storable
from queue_server.store.rows.operations import row_of_operation
from queue_server.store.search.fragments import GREATEST_INTEGER

Waiting = list[tuple[State, int]]
"""The states and run_ats of jobs that wait from now on."""


class Amending:
    """The wishes of a store. `on_arrival` is told when the first of changed jobs may run."""

    def __init__(self, pool: Pool, on_arrival: Callable[[int], None]) -> None:
        self._pool = pool
        self._on_arrival = on_arrival
        self._turn = asyncio.Lock()

    async def amend(self, job_ids: Sequence[int], rule: Rule, step: Step | None) -> list[Amended]:
        """See Store.amend."""
        async with self._turn:
            amended, waiting = await self._pool.transact(lambda session: _amend(session, job_ids, rule, step))
        if (first := earliest(waiting)) is not None:
            self._on_arrival(first)
        return amended

    async def add_operation(self, operation: NewOperation) -> int:
        """See Store.add_operation."""
        return (await self._pool.rows("insert_operation", *row_of_operation(operation)))[0][0]


async def _amend(
    session: Session, job_ids: Sequence[int], rule: Rule, step: Step | None
) -> tuple[list[Amended], Waiting]:
    if step is not None and not await session.rows("is_operation_running", step.operation_id, step.after):
        return [], []
    ids = [job_id for job_id in dict.fromkeys(job_ids) if 0 < job_id <= GREATEST_INTEGER]
    await session.rows("lock_jobs", ids)
    # Read once they are locked: the other tables' rows would else be those from before what the lock waited for.
    amended = [_answer(rule, row) for row in await session.rows("get_many", ids)]
    waiting = await _apply(session, [one.answer for one in amended])
    if step is not None:
        done = count_changed(amended)
        await _save_step(session, step, done, len(job_ids) - done)
    return amended, waiting


async def _save_step(session: Session, step: Step, done: int, skipped: int) -> None:
    values = (step.operation_id, step.next_id, done, skipped, step.state, step.ended_at, step.error)
    await session.run("save_operation", *values)


def _answer(rule: Rule, row: Sequence[object]) -> Amended:
    try:
        return answered(rule, record_of_row(tuple(row)))
    except Exception as error:
        raise StoreError(f"can't be stored: {error}") from error


async def _apply(session: Session, answers: Sequence[Answer | QueueServerError]) -> Waiting:
    ended = [answer for answer in answers if isinstance(answer, Transition) and not answer.changes_nothing]
    _, callbacks = await finish(session, ended)
    if removed := [answer.job_id for answer in answers if isinstance(answer, Removal)]:
        await session.rows("delete_jobs", removed)
    revisions = [answer for answer in answers if isinstance(answer, Revision)]
    for change in revisions:
        await _revise(session, change)
    for answer in answers:
        match answer:
            case Extension():
                reason = storable(answer.reason)
                await session.run("extend", answer.job_id, answer.claim_seq, answer.overdue_at, reason)
            case CancelWish():
                reason = storable(answer.reason)
                await session.run("wish_cancel", answer.job_id, answer.claim_seq, answer.wished_at, reason)
            case _:
                pass
    waiting = [(change.state, change.run_at) for change in (*ended, *revisions) if change.run_at is not None]
    return waiting + [(job.state, job.run_at) for _, job in callbacks]


async def _revise(session: Session, change: Revision) -> None:
    await session.run("revise", *revision_row(change), int(change.payload is not None))
    if change.payload is not None:
        await session.run("replace_payload", change.job_id, change.payload)
        await session.run("delete_tags", change.job_id)
        await session.run("insert_tags", change.job_id, *columns(list((change.plan.tags or {}).items()), 2))
