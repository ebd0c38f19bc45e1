"""What job a row of the first Queue Server's table becomes."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

import msgspec

from queue_server.domain.composing import Defaults, compose_plan, compose_row
from queue_server.domain.errors import InvalidJob
from queue_server.domain.job import PRIORITY_MAX, NewJob
from queue_server.domain.lifecycle import first_state
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.state import State
from queue_server.executors.output import mark
from queue_server.moving.first_requests import read_first
from queue_server.store.first_table import FirstRow
from queue_server.store.moving import ATTEMPT, FOR_EVER, JOB, PAYLOAD, TAG, Table
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import storable

CONTEXT_LENGTH = 255
STARTED_ONCE = {"claim_seq": 1, "attempt": 1}
WAS_RUNNING = "it was running in the first Queue Server when it was taken over"


class Kind(StrEnum):
    """What a row was in the first server."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are taken over at `now`. `keep` is how long ended jobs are kept from then on, in µs."""

    now: int
    defaults: Defaults
    keep: Mapping[State, int]
    running: Literal["wait", "fail"] = "wait"


class TakenOver(msgspec.Struct, frozen=True):
    """The rows of a job, what it was, and in what way it differs from its row, in words."""

    id: int
    kind: Kind
    rows: Mapping[Table, Sequence[Row]]
    remarks: tuple[str, ...] = ()


class Unread(msgspec.Struct, frozen=True):
    """A row that can't be taken over, and why."""

    id: int
    why: str


def take(row: FirstRow, rules: Rules) -> TakenOver | Unread:
    """The job of a row."""
    kind = _kind_of(row)
    if kind is None:
        return Unread(row.id, f"its worker_status {row.worker_status} is not known")
    if not 0 < row.id < FOR_EVER:
        return Unread(row.id, "its id is none that a job can have")
    try:
        read = read_first(row)
        created_at = row.added_at or row.completed_at or 0
        plan = compose_plan(read.request, rules.defaults, created_at)
        new = compose_row(read.request, plan, rules.defaults, created_at)
    except InvalidJob as error:
        return Unread(row.id, str(error))
    remarks = [read.remark, "" if row.added_at else "it has no time_added"]
    members = _members(row, new, rules, remarks)
    members |= _ending(row, kind, rules)
    attempts = [_attempt(row, kind, members)] if members["attempt"] else []
    rows = {
        JOB: [tuple(members[name] for name in JOB.columns)],
        PAYLOAD: [(row.id, new.payload)],
        ATTEMPT: attempts,
        TAG: [(name, value, row.id) for name, value in (new.tags or {}).items()],
    }
    return TakenOver(row.id, kind, rows, tuple(filter(None, remarks)))


def _kind_of(row: FirstRow) -> Kind | None:
    """0 waits, 1 runs, 3 is done, 99 has failed. A 2 was on its way from 1 to 3: done if it has an end."""
    match row.worker_status:
        case 0:
            return Kind.WAITING
        case 1:
            return Kind.RUNNING
        case 2:
            return Kind.RUNNING if row.completed_at is None else Kind.DONE
        case 3:
            return Kind.DONE
        case 99:
            return Kind.FAILED
        case _:
            return None


def _members(row: FirstRow, new: NewJob, rules: Rules, remarks: list[str]) -> dict[str, Any]:
    """The job's columns while it waits."""
    return dict.fromkeys(JOB.columns) | {
        "id": row.id,
        "state": first_state(new.run_at, rules.now),
        "type": new.type,
        "rank": PRIORITY_MAX - _priority(row, new, remarks),
        "run_at": new.run_at,
        "claim_seq": 0,
        "attempt": 0,
        "refunded": 0,
        "losses": 0,
        "context": _context(row, rules, remarks),
        "created_at": new.created_at,
        "reason": "",
        "queue": new.queue,
        "key": new.key,
        "overdue_at": new.overdue_at,
    }


def _ending(row: FirstRow, kind: Kind, rules: Rules) -> dict[str, Any]:
    """What is different once it has run. When it started was not kept: it gets no duration."""
    match kind:
        case Kind.WAITING:
            return {}
        case Kind.RUNNING if rules.running == "wait":
            return {"reason": WAS_RUNNING}
        case Kind.RUNNING:
            state, ended_at, reason = State.FAILED, rules.now, WAS_RUNNING
        case Kind.DONE:
            state, ended_at, reason = State.COMPLETED, row.completed_at or row.added_at or 0, ""
        case Kind.FAILED:  # pragma: no branch
            state, ended_at, reason = (
                State.FAILED,
                row.completed_at or row.added_at or 0,
                "it failed in the first Queue Server",
            )
    return STARTED_ONCE | {
        "state": state,
        "reason": reason,
        "claimed_at": ended_at,
        "first_started_at": ended_at,
        "ended_at": ended_at,
        "overdue_at": None,
        "keep_until": rules.now + rules.keep[state],
    }


def _attempt(row: FirstRow, kind: Kind, members: Mapping[str, Any]) -> Row:
    outcomes = {
        Kind.DONE: OutcomeKind.SUCCEEDED,
        Kind.FAILED: OutcomeKind.FAILED,
        Kind.RUNNING: OutcomeKind.INTERRUPTED,
    }
    values = dict.fromkeys(ATTEMPT.columns) | {
        "job_id": row.id,
        "claim_seq": 1,
        "number": 1,
        "node_id": 0,
        "started_at": members["claimed_at"],
        "ended_at": members["ended_at"],
        "outcome": outcomes[kind],
        "exit_code": row.return_code,
        "error": members["reason"] or None,
        "size": row.output_size,
        "error_size": 0,
        "head": b"",
        "text": row.output + mark(row.output_size - len(row.output)),
        "error_text": b"",
        "due_at": members["run_at"],
    }
    return tuple(values[name] for name in ATTEMPT.columns)


def _priority(row: FirstRow, new: NewJob, remarks: list[str]) -> int:
    if row.priority is None:
        return new.priority
    if not 0 <= row.priority <= PRIORITY_MAX:
        remarks.append(f"its priority {row.priority} is not one from 0 to {PRIORITY_MAX}")
    return min(max(row.priority, 0), PRIORITY_MAX)


def _context(row: FirstRow, rules: Rules, remarks: list[str]) -> str:
    context = row.context or rules.defaults.context
    clean = "".join(character for character in storable(context) if character >= " " and character != "\x7f")
    if clean[:CONTEXT_LENGTH] != context:
        remarks.append("its context was cut, or had control characters")
    return clean[:CONTEXT_LENGTH]
