"""The shapes of the first API's answers, for its documentation."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from queue_server.domain.command import Command, ExecCommand, HttpCommand, Unreadable
from queue_server.domain.job import Report
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.domain.state import State

Time = Annotated[
    str,
    Meta(pattern=r"\A\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\Z", description="UTC.", examples=["2026-11-24 09:30:00"]),
]
Id = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Count = Annotated[int, Meta(ge=0)]


class Running(msgspec.Struct, frozen=True):
    """The server runs."""

    version: str
    status: Literal["running"]


class Added(msgspec.Struct, frozen=True):
    """The job is stored."""

    status: Literal["OK"]
    job_id: Id


class ServerData(msgspec.Struct, frozen=True):
    """How much there is to do."""

    waiting: Annotated[Count, Meta(description="Jobs that have not started.")]
    working: Annotated[Count, Meta(description="Jobs that run.")]
    max_threads: Annotated[Count, Meta(description="Job slots of all nodes.")]
    free_threads: Annotated[Count, Meta(description="Those of them that are free.")]


class ServerStatus(msgspec.Struct, frozen=True):
    """How much there is to do."""

    status: Literal[200]
    data: ServerData


class ShortJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job in short."""

    id: Id
    worker_status: Annotated[Literal[0, 1, 3, 99], Meta(description="0 waiting, 1 working, 3 done, 99 failed.")]
    time_added: Time
    time_completed: Time | None
    priority: Annotated[int, Meta(ge=0, le=1000)]
    state: State


class WholeJob(ShortJob, frozen=True, kw_only=True, omit_defaults=True):
    """A job with its commands and options, where they are set, and what came of its last attempt."""

    context: str
    command: HttpCommand | ExecCommand | Unreadable
    callback_done: Command | None = None
    callback_failed: Command | None = None
    retry: Retry | None = None
    report: Annotated[Report | None, Meta(description="What a callback reports.")] = None
    expires_at: Time | None = None
    deadline: Time | None = None
    retention: float | None = None
    tags: Mapping[str, str] | None = None
    attempts: Annotated[Count, Meta(description="How often it has been started.")]
    time_started: Time | None
    time_due: Time
    outcome: OutcomeKind | None
    exit_code: int | None
    error: str | None
    reason: str
    output: str | None
    error_output: str | None


class JobStatus(msgspec.Struct, frozen=True):
    """A job in short."""

    status: Literal[200]
    data: ShortJob


class JobData(msgspec.Struct, frozen=True):
    """A job."""

    status: Literal[200]
    data: WholeJob
