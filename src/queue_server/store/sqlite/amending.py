"""Applying what a rule makes of jobs, inside a transaction of the writing connection."""

from collections.abc import Sequence

from msgspec import json

from queue_server.domain.errors import QueueServerError
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import FINAL_STATES, State
from queue_server.domain.wishes import Answer, CancelWish, Extension, Removal, Revision
from queue_server.store.amending import answered, count_changed
from queue_server.store.contract import Amended, NewOperation, Rule, Step
from queue_server.store.rows.jobs import finish_row, record_of_row, revision_row, storable
from queue_server.store.rows.operations import row_of_operation
from queue_server.store.sqlite.session import Session


def amend(session: Session, job_ids: Sequence[int], rule: Rule, step: Step | None) -> list[Amended]:
    """See Store.amend."""
    if step is not None and not session.rows("is_operation_running", (step.operation_id, step.after)):
        return []
    rows = session.rows("get_many", (json.encode(list(dict.fromkeys(job_ids))).decode(),))
    amended = [answered(rule, record_of_row(row)) for row in rows]
    _apply(session, [one.answer for one in amended])
    if step is not None:
        done = count_changed(amended)
        save_step(session, step, done, len(job_ids) - done)
    return amended


def save_step(session: Session, step: Step, done: int, skipped: int) -> None:
    """Say how far an operation has come."""
    session.run("save_operation", step.operation_id, step.next_id, done, skipped, step.state, step.ended_at, step.error)


def insert_operation(session: Session, operation: NewOperation) -> int:
    """See Store.add_operation."""
    return session.value("insert_operation", row_of_operation(operation))


def _apply(session: Session, answers: Sequence[Answer | QueueServerError]) -> None:
    ended = [answer for answer in answers if isinstance(answer, Transition) and not answer.changes_nothing]
    session.bulk("finish_all", [finish_row(change) for change in ended])
    session.record(ended)
    for state in FINAL_STATES:
        removed = [answer.job_id for answer in answers if isinstance(answer, Removal) and answer.state is state]
        session.delete(removed, state)
    revisions = [answer for answer in answers if isinstance(answer, Revision)]
    for change in revisions:
        _revise(session, change)
    if any(change.from_state is State.SCHEDULED for change in revisions):
        session.find_next_due()
    for answer in answers:
        match answer:
            case Extension():
                reason = storable(answer.reason)
                session.run("extend", answer.job_id, answer.claim_seq, answer.overdue_at, reason)
            case CancelWish():
                reason = storable(answer.reason)
                session.run("wish_cancel", answer.job_id, answer.claim_seq, answer.wished_at, reason)
            case _:
                pass


def _revise(session: Session, change: Revision) -> None:
    session.run("revise", *revision_row(change))
    if change.payload is not None:
        session.run("replace_payload", change.job_id, change.payload)
        session.run("delete_tags", f"[{change.job_id}]")
        session.bulk("insert_tags", [(name, value, change.job_id) for name, value in (change.plan.tags or {}).items()])
    session.moved(change.from_state, change.state, change.run_at)
