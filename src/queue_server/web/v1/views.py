"""What /v1 shows: a struct for each thing, and how it is made of what the server knows.

Times are RFC 3339 UTC with microseconds, durations are seconds. The structs are the documentation too: the OpenAPI
document calls each by its name without `View`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from queue_server.domain.command import Command, ExecCommand, HttpCommand, Unreadable, command_type, summary
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import Attempt, JobRecord
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.retry import ONCE, SECOND, Retry
from queue_server.domain.state import State
from queue_server.operations.look import Status
from queue_server.store.contract import Action, JobFilter, Operation, OperationState

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Id = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class JobView(msgspec.Struct, frozen=True, gc=False):
    """A job as it stands."""

    id: Annotated[Id, Meta(description="Ids grow and are never used again.")]
    state: Annotated[State, Meta(description="Where the job stands. The last three are final.")]
    type: Annotated[
        Literal["http", "exec", "unreadable"],
        Meta(description="What its command is; unreadable if this version can't read what is stored."),
    ]
    summary: Annotated[str, Meta(description="The command in a few words, without secrets.")]
    queue: Annotated[str, Meta(description="The lane that it waits in.")]
    key: Annotated[str | None, Meta(description="The client's free key.")]
    priority: Annotated[int, Meta(ge=0, le=1000, description="Higher runs earlier.")]
    context: Annotated[str, Meta(description="The client's label.")]
    tags: Annotated[Mapping[str, str], Meta(description="The client's names and values.")]
    command: Annotated[HttpCommand | ExecCommand | Unreadable, Meta(description="What it runs, as it was sent.")]
    callback_done: Annotated[Command | UnsetType, Meta(description="Runs when the job has ended; only where set.")]
    callback_failed: Annotated[Command | UnsetType, Meta(description="Runs when the job has failed; only where set.")]
    retry: Annotated[Retry | UnsetType, Meta(description="When it is tried again; only where it can be.")]
    attempt: Annotated[Count, Meta(description="How often it has been started.")]
    max_attempts: Annotated[int, Meta(ge=1, description="How often it may be tried.")]
    run_at: Annotated[Time, Meta(description="When it is, or was, due.")]
    expires_at: Annotated[Time | None, Meta(description="It fails if it has not been started by then.")]
    deadline: Annotated[Time | None, Meta(description="It fails if it has not ended by then.")]
    retention: Annotated[Seconds | None, Meta(description="Seconds that it is kept once it has ended.")]
    created_at: Annotated[Time, Meta(description="When it was added.")]
    started_at: Annotated[Time | None, Meta(description="When its last attempt started.")]
    ended_at: Annotated[Time | None, Meta(description="When it became final.")]
    outcome: Annotated[OutcomeKind | None, Meta(description="How its last attempt ended.")]
    exit_code: Annotated[int | None, Meta(description="The HTTP status or exit code of its last attempt.")]
    error: Annotated[str | None, Meta(description="What went wrong in its last attempt, in one sentence.")]
    reason: Annotated[str, Meta(description="Why it is in its state, where that is not plain.")]
    parent_id: Annotated[Id | None, Meta(description="The job whose end this one, a callback, reports.")]
    node_id: Annotated[int | None, Meta(description="The node that runs it or ran it last.")]
    claim: Annotated[Count, Meta(description="Grows with each start; a target can refuse an older one.")]
    cancel_requested: Annotated[bool, Meta(description="Whether it runs and is about to be interrupted.")]
    heartbeat_until: Annotated[
        Time | None,
        Meta(description="When its target must have given a sign of life; set while it goes on past its request."),
    ]
    token_id: Annotated[int | UnsetType, Meta(description="The token that its commands come from; only if one.")]


class ReportedView(msgspec.Struct, frozen=True):
    """As much of a job as a target is told whose token may not see jobs."""

    id: Id
    state: State
    attempt: Count
    claim: Count
    created_at: Time


class JobPageView(msgspec.Struct, frozen=True):
    """A page of jobs. It may hold fewer than `limit`, even none, before the end."""

    items: list[JobView]
    next_cursor: Annotated[str | None, Meta(description="The `cursor` of the next page; null at the end.")]


class AttemptView(msgspec.Struct, frozen=True):
    """One run of a job, once it has ended."""

    number: Annotated[int, Meta(ge=1, description="The first one is 1.")]
    claim: Annotated[int, Meta(ge=1, description="The claim that it ran under.")]
    node_id: Annotated[int, Meta(description="The node that ran it.")]
    started_at: Time
    ended_at: Time
    duration: Annotated[Seconds, Meta(description="Seconds from its start to its end.")]
    queued: Annotated[Seconds | None, Meta(description="Seconds from when it was due to its start.")]
    connect: Annotated[Seconds | None, Meta(description="Seconds from its start until the connection stood.")]
    first_byte: Annotated[Seconds | None, Meta(description="Seconds from its start until the answer began.")]
    outcome: Annotated[OutcomeKind, Meta(description="How it ended.")]
    exit_code: Annotated[int | None, Meta(description="The HTTP status or exit code; 128 + N after signal N.")]
    signal: Annotated[str | None, Meta(description="The signal that ended the command.")]
    error: Annotated[str | None, Meta(description="What went wrong, in one sentence.")]
    output_size: Annotated[Count, Meta(description="Bytes that it printed or answered, before any were cut.")]


class AttemptsView(msgspec.Struct, frozen=True):
    """A job's ended attempts, oldest first."""

    items: list[AttemptView]


class CountsView(msgspec.Struct, frozen=True):
    """How many jobs are in each state."""

    scheduled: Count
    available: Count
    running: Count
    completed: Count
    failed: Count
    cancelled: Count


class SlotsView(msgspec.Struct, frozen=True):
    """How many jobs may run at once, on all nodes, and how many more could now."""

    total: Count
    free: Count


class StatsView(msgspec.Struct, frozen=True):
    """The server at a glance."""

    version: str
    jobs: CountsView
    slots: SlotsView


class FilterView(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Which jobs are meant: those that fulfil all that is given. `…_after` includes its time, `…_before` does not."""

    state: Sequence[State] = ()
    type: Literal["http", "exec"] | None = None
    queue: str | None = None
    context: str | None = None
    key: str | None = None
    parent_id: int | None = None
    tags: Mapping[str, str] = {}
    created_after: Time | None = None
    created_before: Time | None = None
    ended_after: Time | None = None
    ended_before: Time | None = None
    ids: Sequence[int] | None = None
    contexts: Annotated[Sequence[str] | None, Meta(description="Those that its token is bound to.")] = None
    queues: Annotated[Sequence[str] | None, Meta(description="Those that its token is bound to.")] = None


class OperationView(msgspec.Struct, frozen=True):
    """An action on many jobs, and how far it has come."""

    id: Id
    action: Action
    filter: Annotated[FilterView, Meta(description="Which jobs were meant.")]
    state: OperationState
    matched: Annotated[Count, Meta(description="Jobs that fitted the filter when it was asked for.")]
    done: Annotated[Count, Meta(description="Jobs that were changed.")]
    skipped: Annotated[Count, Meta(description="Jobs that were not in a state for it.")]
    created_at: Time
    ended_at: Time | None
    error: Annotated[str | None, Meta(description="Why it failed, in one sentence.")]


class ExplanationView(msgspec.Struct, frozen=True):
    """Why a job is where it is, and what comes next."""

    id: Id
    state: State
    sentence: Annotated[str, Meta(description="All that matters, for people.")]
    facts: Annotated[dict[str, Any], Meta(description="What the sentence was made of, for programs.")]


class ErrorView(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request."""

    pointer: Annotated[str, Meta(description="Where: a JSON pointer (RFC 6901); `/name` for a query parameter.")]
    detail: Annotated[str, Meta(description="What, in words.")]


class ProblemView(msgspec.Struct, frozen=True):
    """Why a request could not be fulfilled (RFC 9457)."""

    type: str
    title: Annotated[str, Meta(description="The status in words.")]
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="What happened and what to do, in one sentence.")]
    errors: Annotated[list[ErrorView] | UnsetType, Meta(description="Everything that was found to be wrong.")]


def job_view(job: JobRecord) -> JobView:
    """A job."""
    plan = job.plan
    run_at = rfc3339(job.run_at) or ""
    return JobView(
        job.id,
        job.state,
        "unreadable" if isinstance(plan.command, Unreadable) else command_type(plan.command),
        summary(plan.command),
        job.queue,
        job.key,
        job.priority,
        job.context,
        plan.tags or {},
        plan.command,
        UNSET if plan.callback_done is None else plan.callback_done,
        UNSET if plan.callback_failed is None else plan.callback_failed,
        UNSET if plan.retry is None else plan.retry,
        job.attempt,
        (plan.retry or ONCE).max_attempts,
        run_at,
        rfc3339(plan.expires_at),
        rfc3339(plan.deadline),
        plan.retention,
        run_at if job.created_at == job.run_at else _time(job.created_at),
        rfc3339(job.claimed_at),
        rfc3339(job.ended_at),
        job.outcome,
        job.exit_code,
        job.error,
        job.reason,
        job.parent_id,
        job.node_id,
        job.claim_seq,
        job.cancel_wished_at is not None and job.state is State.RUNNING,
        rfc3339(job.overdue_at) if job.is_continued else None,
        UNSET if plan.token_id is None else plan.token_id,
    )


def reported_view(job: JobRecord) -> ReportedView:
    """A job whose attempt has been reported, for those who may not see jobs."""
    return ReportedView(job.id, job.state, job.attempt, job.claim_seq, _time(job.created_at))


def attempt_view(attempt: Attempt) -> AttemptView:
    """An ended attempt."""
    return AttemptView(
        attempt.number,
        attempt.claim_seq,
        attempt.node_id,
        _time(attempt.started_at),
        _time(attempt.ended_at),
        max(0, attempt.ended_at - attempt.started_at) / SECOND,
        None if attempt.due_at is None else max(0, attempt.started_at - attempt.due_at) / SECOND,
        _seconds(attempt.timings.connect),
        _seconds(attempt.timings.first_byte),
        attempt.outcome,
        attempt.exit_code,
        attempt.signal,
        attempt.error,
        attempt.output.size,
    )


def stats_view(status: Status, version: str) -> StatsView:
    """The server at a glance."""
    counts = CountsView(*(status.counts[State(name)] for name in CountsView.__struct_fields__))
    return StatsView(version, counts, SlotsView(status.slots, status.free))


def operation_view(operation: Operation) -> OperationView:
    """An operation."""
    return OperationView(
        operation.id,
        operation.action,
        filter_view(operation.filter),
        operation.state,
        operation.matched,
        operation.done,
        operation.skipped,
        _time(operation.created_at),
        rfc3339(operation.ended_at),
        operation.error,
    )


def filter_view(wanted: JobFilter) -> FilterView:
    """A filter, as far as anything is set."""
    return FilterView(
        state=wanted.states,
        type=wanted.type,
        queue=wanted.queue,
        context=wanted.context,
        key=wanted.key,
        parent_id=wanted.parent_id,
        tags=wanted.tags,
        created_after=rfc3339(wanted.created_after),
        created_before=rfc3339(wanted.created_before),
        ended_after=rfc3339(wanted.ended_after),
        ended_before=rfc3339(wanted.ended_before),
        ids=wanted.ids,
        contexts=wanted.contexts,
        queues=wanted.queues,
    )


def _time(instant: int) -> str:
    return rfc3339(instant) or ""


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / SECOND
