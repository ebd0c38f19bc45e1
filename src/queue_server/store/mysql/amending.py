"""Applying what a rule makes of jobs, inside one transaction."""

from collections.abc import Sequence

from queue_server.domain.errors import QueueServerError
from queue_server.domain.job import JobRecord
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import FINAL_STATES
from queue_server.domain.wishes import Answer, CancelWish, Extension, Removal, Revision
from queue_server.store.amending import answered, count_changed
from queue_server.store.contract import Amended, Rule, Step
from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.purging import delete_jobs
from queue_server.store.mysql.transaction import Transaction
from queue_server.store.mysql.turns import finish
from queue_server.store.rows.jobs import record_of_row, revision_row, storable


async def amend(transaction: Transaction, job_ids: Sequence[int], rule: Rule, step: Step | None) -> list[Amended]:
    """See Store.amend."""
    if step is not None and not await transaction.rows("is_operation_running", step.operation_id, step.after):
        return []
    amended = [answered(rule, record) for record in await _lock_records(transaction, job_ids)]
    await _apply(transaction, [one.answer for one in amended])
    if step is not None:
        done = count_changed(amended)
        ending = (step.state, step.ended_at, step.error, step.operation_id)
        await transaction.run("save_operation", step.next_id, done, len(job_ids) - done, *ending)
    return amended


async def _lock_records(transaction: Transaction, job_ids: Sequence[int]) -> list[JobRecord]:
    """The jobs in the order that was asked for. They are locked first, so that they are read as they stay."""
    wanted = list(dict.fromkeys(job_ids))
    there = [row[0] for row in await transaction.rows("lock_jobs", listed(sorted(wanted)))]
    found = {row[0]: record_of_row(row) for row in await transaction.rows("get_many", listed(there))}
    return [found[job_id] for job_id in wanted if job_id in found]


async def _apply(transaction: Transaction, answers: Sequence[Answer | QueueServerError]) -> None:
    ended = [answer for answer in answers if isinstance(answer, Transition) and not answer.changes_nothing]
    if ended:
        await finish(transaction, ended)
    for state in FINAL_STATES:
        removed = [answer.job_id for answer in answers if isinstance(answer, Removal) and answer.state is state]
        await delete_jobs(transaction, removed, state)
    await _revise(transaction, [answer for answer in answers if isinstance(answer, Revision)])
    signs = [answer for answer in answers if isinstance(answer, Extension)]
    if signs:
        rows = [(sign.job_id, sign.claim_seq, sign.overdue_at, storable(sign.reason)) for sign in signs]
        await transaction.run("extend", listed(rows))
    wishes = [answer for answer in answers if isinstance(answer, CancelWish)]
    if wishes:
        rows = [(wish.job_id, wish.claim_seq, wish.wished_at, storable(wish.reason)) for wish in wishes]
        await transaction.run("wish_cancel", listed(rows))


async def _revise(transaction: Transaction, revisions: Sequence[Revision]) -> None:
    if not revisions:
        return
    await transaction.run("revise", listed([revision_row(change) for change in revisions]))
    for change in revisions:
        if change.payload is not None:
            await transaction.run("replace_payload", change.payload, change.job_id)
        transaction.moved(change.from_state, change.state, change.run_at)
    planned = [change for change in revisions if change.payload is not None]
    if planned:
        await transaction.run("delete_tags", listed([change.job_id for change in planned]))
    tags = [(name, value, one.job_id) for one in planned for name, value in (one.plan.tags or {}).items()]
    await transaction.bulk("insert_tags", tags)
