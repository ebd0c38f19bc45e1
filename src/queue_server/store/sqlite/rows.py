"""Rows of the SQLite store from and to the domain's types."""

from operator import attrgetter
from typing import Any

import msgspec

from queue_server.domain.job import PRIORITY_MAX, Attempt, Job, NewJob, decode_plan
from queue_server.domain.lifecycle import Transition
from queue_server.domain.placeholders import MARK
from queue_server.domain.state import State
from queue_server.store.sqlite.bulk import Row


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
    )


def job_of_row(row: Any) -> Job:
    """A running job from a row of the query `expired`."""
    *facts, plan = row
    return job_of_claim(ClaimRow(*facts), plan or "")


def job_row(id_: int, job: NewJob) -> Row:
    """A row for the query `insert_jobs`."""
    rank = PRIORITY_MAX - job.priority
    return (id_, job.state, job.type, rank, job.run_at, job.context, job.created_at, job.parent_id)


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
    )


def storable(text: str) -> str:
    """The text without what no database takes: NUL characters and lone surrogates."""
    if text.isprintable():
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
