"""What a person or a program may ask of a job that exists, and what becomes of the job then.

Each wish is a pure function from the job to a Change that a store applies, to None where it already is as wished, or to
a Refusal that says why not. Outcomes and the ends of jobs stay with `lifecycle.decide`.
"""

import msgspec

from queue_server.domain.composing import Defaults, compose_plan, compose_row, due_at, overdue_at
from queue_server.domain.job import JobRecord, JobRequest, NewJob, Plan, encode_plan
from queue_server.domain.lifecycle import Moment, Transition, decide, first_state, next_sign_of_life
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.domain.revising import Patch, patched
from queue_server.domain.state import FINAL_STATES, WAITING_STATES, State


class Revision(msgspec.Struct, frozen=True):
    """The new row of a job that does not run. It applies while the job is in `from_state` with the same claim_seq.

    `type` is None where it stays as it is, `payload` where the plan does.
    """

    job_id: int
    from_state: State
    claim_seq: int
    state: State
    type: str | None
    priority: int
    run_at: int
    queue: str
    context: str
    key: str | None
    overdue_at: int | None
    refunded: int
    losses: int
    first_started_at: int | None
    reason: str
    plan: Plan
    payload: bytes | None


class Extension(msgspec.Struct, frozen=True):
    """A sign of life of a job that goes on past its request: it has until `overdue_at` for the next one."""

    job_id: int
    claim_seq: int
    overdue_at: int
    reason: str


class CancelWish(msgspec.Struct, frozen=True):
    """The running job is to be interrupted by the node that runs it, and not run again."""

    job_id: int
    claim_seq: int
    wished_at: int
    reason: str


class Removal(msgspec.Struct, frozen=True):
    """The final job goes, with all that belongs to it."""

    job_id: int
    state: State


class Refusal(msgspec.Struct, frozen=True):
    """Why a wish can't be fulfilled in the state that the job is in."""

    why: str


Change = Transition | Revision | Extension | CancelWish | Removal
Answer = Change | Refusal | None


def cancel(record: JobRecord, reason: str, now: int) -> Answer:
    """A waiting job ends at once, a running one is interrupted."""
    if record.state is State.CANCELLED:
        return None
    if record.state in FINAL_STATES:
        return Refusal(f"job {record.id} has {_ended(record)}; only a job that has not ended can be cancelled")
    if record.state in WAITING_STATES or record.is_continued:
        outcome = Outcome(OutcomeKind.CANCELLED, error=reason)
        return decide(record.as_job(), outcome, Moment(now, record.claimed_at or now))
    if record.cancel_wished_at is not None:
        return None
    return CancelWish(record.id, record.claim_seq, now, reason)


def run_now(record: JobRecord, now: int) -> Answer:
    """A scheduled job becomes due."""
    if record.state is State.AVAILABLE:
        return None
    if record.state is not State.SCHEDULED:
        return Refusal(f"job {record.id} {_is_or_has(record)}; only one that waits can be run now")
    if record.cancel_wished_at is not None:
        return _being_cancelled(record)
    return _revision(record, record.plan, state=State.AVAILABLE, run_at=now)


def revise(record: JobRecord, patch: Patch, defaults: Defaults, now: int, *, token_id: int | None = None) -> Answer:
    """A waiting job changes; InvalidJob if the patch would make no good job of it. `token_id` is whose patch it is."""
    if record.state not in WAITING_STATES:
        return Refusal(f"job {record.id} {_is_or_has(record)}; only one that waits can be changed")
    if record.cancel_wished_at is not None:
        return _being_cancelled(record)
    request = patched(record, patch)
    plan = _plan(record, request, patch, defaults, now, token_id=token_id)
    run_at = due_at(request, now) if patch.moves_due_time else record.run_at
    state = first_state(run_at, now) if patch.moves_due_time else record.state
    row = compose_row(request, plan, defaults, now)
    return _revision(record, plan, state=state, run_at=run_at, row=row)


def retry(record: JobRecord, patch: Patch, defaults: Defaults, now: int, *, token_id: int | None = None) -> Answer:
    """A final job runs again, with a fresh budget of attempts. Limits that have passed are dropped.

    `token_id` is whose patch it is.
    """
    if record.state not in FINAL_STATES:
        return Refusal(f"job {record.id} {_is_or_has(record)}; only one that has ended can be tried again")
    row, run_at, plan = None, now, record.plan
    if patch.members:
        request = patched(record, patch)
        plan = _plan(record, request, patch, defaults, now, token_id=token_id)
        row = compose_row(request, plan, defaults, now)
        run_at = row.run_at
    plan = msgspec.structs.replace(plan, expires_at=_future(plan.expires_at, now), deadline=_future(plan.deadline, now))
    revision = _revision(record, plan, state=first_state(run_at, now), run_at=run_at, row=row)
    return msgspec.structs.replace(
        revision,
        refunded=record.attempt,
        losses=0,
        first_started_at=None,
        overdue_at=overdue_at(plan),
        reason="tried again on request",
    )


def remove(record: JobRecord) -> Answer:
    """A final job is deleted."""
    if record.state not in FINAL_STATES:
        return Refusal(f"job {record.id} {_is_or_has(record)}; cancel it first, only a job that has ended is deleted")
    return Removal(record.id, record.state)


def extend(record: JobRecord, claim_seq: int, seconds: float, message: str, now: int) -> Answer:
    """A running job's target gives a sign of life.

    There is nothing to extend before it has answered 202, nor for a job that is about to be cancelled.
    """
    if refusal := _not_of_claim(record, claim_seq):
        return refusal
    if not record.is_continued or record.cancel_wished_at is not None:
        return None
    until = next_sign_of_life(record.as_job(), seconds, now)
    return Extension(record.id, claim_seq, until, message or record.reason)


def report(record: JobRecord, claim_seq: int, outcome: Outcome, *, now: int, chance: float) -> Answer:
    """A running job's target says how the attempt ended. To say so again changes nothing."""
    if record.state is not State.RUNNING and record.claim_seq == claim_seq and record.outcome is outcome.kind:
        return None
    if refusal := _not_of_claim(record, claim_seq):
        return refusal
    return decide(record.as_job(), outcome, Moment(now, record.claimed_at or now, chance))


def _not_of_claim(record: JobRecord, claim_seq: int) -> Refusal | None:
    if record.state is not State.RUNNING:
        return Refusal(f"job {record.id} {_is_or_has(record)}; stop working on it")
    if record.claim_seq != claim_seq:
        return Refusal(
            f"claim {claim_seq} no longer owns job {record.id}, claim {record.claim_seq} does; stop working on it"
        )
    return None


def _plan(
    record: JobRecord, request: JobRequest, patch: Patch, defaults: Defaults, now: int, *, token_id: int | None
) -> Plan:
    """The changed plan. A callback goes on reporting what it reports, and defaults are no reason to change a job.

    Whoever changes one of its commands answers for all of them from then on.
    """
    before = record.plan
    plan = compose_plan(request, defaults, now, before=before)
    retry = plan.retry if patch.changes_retry else before.retry
    is_same = plan.commands == before.commands and plan.secrets == before.secrets
    writer = before.token_id if is_same else token_id
    return msgspec.structs.replace(plan, report=before.report, retry=retry, token_id=writer)


def _revision(record: JobRecord, plan: Plan, *, state: State, run_at: int, row: NewJob | None = None) -> Revision:
    """The job with a new plan, state and due time, and with the columns of `row` if it has been composed anew."""
    return Revision(
        job_id=record.id,
        from_state=record.state,
        claim_seq=record.claim_seq,
        state=state,
        type=row.type if row else None,
        priority=row.priority if row else record.priority,
        run_at=run_at,
        queue=row.queue if row else record.queue,
        context=row.context if row else record.context,
        key=row.key if row else record.key,
        overdue_at=overdue_at(plan) if record.first_started_at is None else plan.deadline,
        refunded=record.refunded,
        losses=record.losses,
        first_started_at=record.first_started_at,
        reason=record.reason,
        plan=plan,
        payload=None if plan == record.plan else encode_plan(plan),
    )


def _being_cancelled(record: JobRecord) -> Refusal:
    """The wish came when the end of its attempt had already been decided: in a moment it is cancelled."""
    return Refusal(f"job {record.id} is being cancelled")


def _future(instant: int | None, now: int) -> int | None:
    return instant if instant is not None and instant > now else None


def _is_or_has(record: JobRecord) -> str:
    return f"has {_ended(record)}" if record.state in FINAL_STATES else f"is {record.state}"


def _ended(record: JobRecord) -> str:
    return "been cancelled" if record.state is State.CANCELLED else str(record.state)
