"""Coherent jobs, plans, outcomes and transitions. Each builder has its defaults: a test names what it is about."""

from typing import Any

import msgspec

from queue_server.domain.command import Command, ExecCommand, HttpCommand, command_type
from queue_server.domain.composing import overdue_at
from queue_server.domain.job import Job, JobRecord, NewJob, Once, Plan, Report, encode_plan
from queue_server.domain.lifecycle import Moment, Transition, decide, first_state
from queue_server.domain.outcome import Outcome, OutcomeKind, Output
from queue_server.domain.state import FINAL_STATES, WAITING_STATES, State

NOW = 1_763_976_600_000_000
"""2025-11-24 09:30:00 UTC: the moment at which tests happen, in µs."""

SECOND = 1_000_000
DAY = 86_400 * SECOND

HTTP = HttpCommand(url="http://example.com/work")
EXEC = ExecCommand(cmd="/bin/true")
REPORT = Report(job_id=7, state=State.FAILED, exit_code=500, attempts=2, context="app", error="it failed")


def plan(command: Command = HTTP, **members: Any) -> Plan:
    """A job's payload."""
    return Plan(command=command, **members)


def new_job(command: Command = HTTP, *, now: int = NOW, delay: int = 0, **members: Any) -> NewJob:
    """A row to add: due after `delay` µs; `members` are the row's own, or those of its plan."""
    of_row = {name: members.pop(name) for name in list(members) if name in NewJob.__struct_fields__}
    its_plan = plan(command, tags=of_row.get("tags"), **members)
    row: dict[str, Any] = {
        "state": first_state(now + delay, now),
        "priority": 500,
        "run_at": now + delay,
        "created_at": now,
        "context": "default",
        "type": command_type(command),
        "payload": encode_plan(its_plan),
        "overdue_at": overdue_at(its_plan),
    }
    return NewJob(**(row | of_row))


def once(key: str, ask: bytes = b"this", *, scope: str = "", until: int = NOW + DAY) -> Once:
    """An idempotency key with which something was asked for."""
    return Once(scope, key, ask.ljust(16, b"."), until)


def job(state: State = State.RUNNING, **members: Any) -> Job:
    """A job as `decide` sees it; by default one that runs for the first time."""
    of_job: dict[str, Any] = {
        "id": 7,
        "state": state,
        "claim_seq": 1,
        "attempt": 1,
        "refunded": 0,
        "losses": 0,
        "priority": 500,
        "context": "default",
        "created_at": NOW - 2 * SECOND,
        "claimed_at": NOW - SECOND,
        "node_id": 1,
        "plan": plan(),
    }
    return Job(**(of_job | members))


def record(state: State = State.AVAILABLE, **members: Any) -> JobRecord:
    """A job as a reader sees it; one that waits has not run yet, any other has run once."""
    has_run = 0 if state in WAITING_STATES else 1
    of_record: dict[str, Any] = {
        "id": 7,
        "state": state,
        "priority": 500,
        "run_at": NOW + DAY if state is State.SCHEDULED else NOW - 2 * SECOND,
        "context": "default",
        "attempt": has_run,
        "claim_seq": has_run,
        "node_id": 1 if state is State.RUNNING else None,
        "created_at": NOW - 2 * SECOND,
        "claimed_at": NOW - SECOND if has_run else None,
        "ended_at": NOW if state in FINAL_STATES else None,
        "reason": "",
        "parent_id": None,
        "plan": plan(),
        "first_started_at": NOW - SECOND if has_run else None,
    }
    return JobRecord(**(of_record | members))


def outcome(kind: OutcomeKind = OutcomeKind.SUCCEEDED, **members: Any) -> Outcome:
    """What happened in an attempt."""
    return Outcome(kind, **members)


def moment(now: int = NOW, *, started_at: int | None = None, chance: float = 0.5) -> Moment:
    """When a decision is made."""
    return Moment(now, now - SECOND if started_at is None else started_at, chance)


def decided(about: Job, kind: OutcomeKind = OutcomeKind.SUCCEEDED, *, now: int = NOW, **members: Any) -> Transition:
    """The transition that the domain makes of an outcome; `members` are the outcome's."""
    return decide(about, outcome(kind, **members), moment(now))


def stale(transition: Transition, **differences: Any) -> Transition:
    """The same transition of another claim or from another state."""
    return msgspec.structs.replace(transition, **(differences or {"claim_seq": transition.claim_seq + 1}))


def output(size: int, fill: bytes = b"x") -> Output:
    """An output of `size` bytes."""
    text = (fill * (size // len(fill) + 1))[:size]
    return Output(text=text, size=size)
