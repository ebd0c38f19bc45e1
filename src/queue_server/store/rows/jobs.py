"""Jobs."""

from operator import attrgetter
from typing import Any

import msgspec

from queue_server.domain.job import CANCELLED, PRIORITY_MAX, Attempt, Job, JobRecord, NewJob, decode_plan
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import OutcomeKind, Output, Timings
from queue_server.domain.placeholders import MARK
from queue_server.domain.state import State
from queue_server.domain.wishes import Revision
from queue_server.store.limits import CLAIM_BYTES
from queue_server.store.rows import Row

RECORD = (
    "job.id, job.state, 1000 - job.rank, job.run_at, job.context, job.attempt, job.claim_seq, job.node_id, "
    "job.created_at, job.claimed_at, job.ended_at, job.reason, job.parent_id, payload.plan, "
    "attempt.outcome, attempt.exit_code, attempt.error, "
    "job.queue, job.key, job.refunded, job.losses, job.first_started_at, job.overdue_at, job.keep_until, "
    "job.cancel_wished_at"
)
"""The columns of a JobRecord, from the tables job, payload and attempt (its last ended one)."""


class ClaimRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of the query `claimable`."""

    rank: int
    run_at: int
    id: int
    claim_seq: int
    attempt: int
    refunded: int
    losses: int
    context: str
    created_at: int
    claimed_at: int
    node_id: int
    plan_bytes: int
    queue: str
    key: str | None
    first_started_at: int
    overdue_at: int | None
    cancel_reason: str | None

    def is_to_end(self, now: int) -> bool:
        """Whether it must not be started any more: it was to start by now, or somebody wants it cancelled."""
        return self.cancel_reason is not None or (self.overdue_at is not None and self.overdue_at <= now)


claim_order = attrgetter("rank", "run_at", "id")
decode_claim_rows = msgspec.json.Decoder(list[ClaimRow]).decode


def job_of_claim(row: ClaimRow, plan: str | bytes) -> Job:
    """The job that was claimed. A plan that can't be read becomes a command that fails."""
    return Job(
        row.id,
        State.RUNNING,
        row.claim_seq,
        row.attempt,
        row.refunded,
        row.losses,
        PRIORITY_MAX - row.rank,
        row.context,
        row.created_at,
        row.claimed_at,
        row.node_id,
        decode_plan(plan),
        MARK in plan if isinstance(plan, str) else True,
        row.run_at,
        row.first_started_at,
        row.queue,
        row.key,
        row.cancel_reason is not None,
        row.cancel_reason or CANCELLED,
    )


def unclaimed(job: Job) -> Job:
    """The job as it was before a claim that did not take it."""
    before = {"state": State.AVAILABLE, "claim_seq": job.claim_seq - 1, "attempt": job.attempt - 1}
    return msgspec.structs.replace(job, **before)


def within_bytes(rows: list[ClaimRow]) -> list[ClaimRow]:
    """The first rows, as many as have no more than CLAIM_BYTES of plans together, and at least one."""
    total = 0
    for place, row in enumerate(rows):
        total += row.plan_bytes
        if total > CLAIM_BYTES and place:
            return rows[:place]
    return rows


def job_of_row(row: Any) -> Job:
    """A job from a row of the queries `expired` and `overdue`."""
    *facts, state, plan = row
    return msgspec.structs.replace(job_of_claim(ClaimRow(*facts), plan or ""), state=State(state))


def record_of_row(row: Any) -> JobRecord:
    """A job from the columns RECORD."""
    id_, state, *facts, plan, outcome, exit_code, error = row[:17]
    kind = None if outcome is None else OutcomeKind(outcome)
    values: Any = (id_, State(state), *facts, decode_plan(plan), kind, exit_code, error, *row[17:])
    return JobRecord(*values)


def attempt_of_row(row: Any) -> Attempt:
    """An attempt from a row of the query `attempts`; of its output only the sizes are known."""
    *facts, outcome, exit_code, signal, error, size, error_size, due_at, connect, first_byte = row
    output, timings = Output(size=size, error_size=error_size), Timings(connect, first_byte)
    values: Any = (*facts, OutcomeKind(outcome), exit_code, signal, error, output, due_at, timings)
    return Attempt(*values)


def revision_row(change: Revision) -> Row:
    """A row for the query `revise`."""
    return (
        change.job_id,
        change.from_state,
        change.claim_seq,
        change.state,
        change.type,
        PRIORITY_MAX - change.priority,
        change.run_at,
        change.queue,
        change.context,
        change.key,
        change.overdue_at,
        change.refunded,
        change.losses,
        change.first_started_at,
        storable(change.reason),
    )


def job_row(id_: int, job: NewJob) -> Row:
    """A row for the query `insert_jobs`."""
    rank = PRIORITY_MAX - job.priority
    return (
        id_,
        job.state,
        job.type,
        rank,
        job.run_at,
        job.context,
        job.created_at,
        job.parent_id,
        job.queue,
        job.key,
        job.overdue_at,
    )


def finish_row(change: Transition) -> Row:
    """A row for the queries `finish_all` and `finish`."""
    return (
        change.job_id,
        change.from_state,
        change.claim_seq,
        change.state,
        change.run_at,
        change.ended_at,
        change.refunded,
        change.losses,
        storable(change.reason),
        change.overdue_at,
        change.keep_until,
    )


def attempt_row(attempt: Attempt) -> Row:
    """A row for the query `insert_attempts`."""
    output = attempt.output
    return (
        attempt.job_id,
        attempt.claim_seq,
        attempt.number,
        attempt.node_id,
        attempt.started_at,
        attempt.ended_at,
        attempt.outcome,
        attempt.exit_code,
        attempt.signal,
        None if attempt.error is None else storable(attempt.error),
        output.size,
        output.error_size,
        output.head,
        output.text,
        output.error_text,
        attempt.due_at,
        attempt.timings.connect,
        attempt.timings.first_byte,
    )


def storable(text: str) -> str:
    """The text without what no database takes: NUL characters and lone surrogates."""
    if text.isprintable():
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
