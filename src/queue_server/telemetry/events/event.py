"""An event: one durable change of a job, as all nodes tell of it. Small and free of the job's plan and output."""

from enum import StrEnum

import msgspec

from queue_server.domain.job import Job, JobRecord, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.domain.wishes import Revision

TEXT_LIMIT = 1000
"""Characters of an error or a reason in an event; the job itself has them whole."""


class EventType(StrEnum):
    """What happened."""

    ADDED = "job.added"
    STARTED = "job.started"
    RETRYING = "job.retrying"
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    UPDATED = "job.updated"
    DELETED = "job.deleted"


TYPE_OF_END = {
    State.SCHEDULED: EventType.RETRYING,
    State.AVAILABLE: EventType.RETRYING,
    State.RUNNING: EventType.UPDATED,
    State.COMPLETED: EventType.COMPLETED,
    State.FAILED: EventType.FAILED,
    State.CANCELLED: EventType.CANCELLED,
}
"""By the state that a transition leads to. A job that goes on past its request stays running."""


class JobEvent(msgspec.Struct, frozen=True, gc=False):
    """What happened to a job `at` a time (µs), and the job as it was after that."""

    type: EventType
    job_id: int
    state: State
    at: int
    queue: str
    context: str
    key: str | None
    attempt: int
    outcome: str | None = None
    exit_code: int | None = None
    error: str | None = None
    reason: str = ""

    @property
    def is_end(self) -> bool:
        """Whether nothing follows unless somebody asks for it."""
        return self.type in ENDS


ENDS = frozenset({EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED, EventType.DELETED})


def added(job_id: int, row: NewJob) -> JobEvent:
    """A job has been accepted, or a callback is owed."""
    return JobEvent(EventType.ADDED, job_id, row.state, row.created_at, row.queue, row.context, row.key, 0)


def started(job: Job) -> JobEvent:
    """An attempt begins."""
    return JobEvent(
        EventType.STARTED, job.id, State.RUNNING, job.claimed_at, job.queue, job.context, job.key, job.attempt
    )


def ended(job: Job, change: Transition, now: int) -> JobEvent:
    """A transition has been applied. `now` counts where the transition knows no time."""
    attempt, reason = change.attempt, change.reason
    type_, at = TYPE_OF_END[change.state], change.ended_at
    reason = reason if len(reason) <= TEXT_LIMIT else cut(reason)
    if attempt is None:
        return JobEvent(
            type_, job.id, change.state, at or now, job.queue, job.context, job.key, job.attempt, reason=reason
        )
    error = attempt.error
    return JobEvent(
        type_,
        job.id,
        change.state,
        at or attempt.ended_at,
        job.queue,
        job.context,
        job.key,
        job.attempt,
        attempt.outcome,
        attempt.exit_code,
        error if error is None or len(error) <= TEXT_LIMIT else cut(error),
        reason,
    )


def updated(record: JobRecord, now: int) -> JobEvent:
    """Somebody has changed the job, which is now like `record`."""
    return _of_record(EventType.UPDATED, record, now)


def revised(record: JobRecord, change: Revision, now: int) -> JobEvent:
    """Somebody has changed the job, which was like `record`."""
    return JobEvent(
        EventType.UPDATED,
        record.id,
        change.state,
        now,
        change.queue,
        change.context,
        change.key,
        record.attempt,
        record.outcome,
        record.exit_code,
        record.error and cut(record.error),
        cut(change.reason),
    )


def deleted(record: JobRecord, now: int) -> JobEvent:
    """Somebody has deleted the job."""
    return _of_record(EventType.DELETED, record, now)


def cut(text: str) -> str:
    """The text within TEXT_LIMIT."""
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def _of_record(type_: EventType, record: JobRecord, now: int) -> JobEvent:
    return JobEvent(
        type_,
        record.id,
        record.state,
        now,
        record.queue,
        record.context,
        record.key,
        record.attempt,
        record.outcome,
        record.exit_code,
        record.error and cut(record.error),
        cut(record.reason),
    )
