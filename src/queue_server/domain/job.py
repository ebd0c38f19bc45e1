"""The job: what a client asks for, what is stored, and what is known of it while it lives.

    JobRequest   the JSON of /jobs/add and /v1/jobs, with all its optional members
    Plan         the part of it that is kept as the job's payload: commands, callbacks, retry
    NewJob       a row to be added: the plan's bytes and the columns that the claim needs
    Job          a claimed job: what `lifecycle.decide` looks at
    Attempt      one run of a job, as recorded when it ends

Times are integer microseconds UTC.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from queue_server.domain.command import Command, ExecCommand, HttpCommand, Unreadable
from queue_server.domain.outcome import NO_OUTPUT, OutcomeKind, Output
from queue_server.domain.retry import YEAR_S, Delay, Retry
from queue_server.domain.state import State

Priority = Annotated[int, Meta(ge=0, le=1000, extra={"expected": "a whole number from 0 to 1000"})]
Context = Annotated[
    str,
    Meta(
        max_length=255,
        pattern=r"\A[^\x00-\x1f\x7f]*\Z",
        extra={"expected": "a text of at most 255 characters without control characters"},
    ),
]
Instant = Annotated[str, Meta(max_length=64, extra={"expected": "an RFC 3339 time such as 2026-11-24T09:30:00Z"})]

PRIORITY_MAX = 1000


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job as a client writes it. Only `command` is required; see docs/api.md for each member."""

    command: Command
    priority: Priority | UnsetType = UNSET
    context: Context | UnsetType = UNSET
    callback_done: Command | None = None
    callback_failed: Command | None = None
    delay: Delay | None = None
    run_at: Instant | None = None
    retry: Retry | None = None


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a callback tells about the job that ended. `output` is cut to 64 KiB."""

    job_id: int
    state: State
    exit_code: int | None
    attempts: int
    context: str
    error: str | None
    output: str = ""


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job's payload. `report` is set on callbacks only, and callbacks have no callbacks."""

    command: HttpCommand | ExecCommand | Unreadable
    callback_done: Command | None = None
    callback_failed: Command | None = None
    retry: Retry | None = None
    report: Report | None = None


class NewJob(msgspec.Struct, frozen=True):
    """A row to add. `parent_id` is the job that a callback reports. `payload` is an encoded Plan."""

    state: State
    priority: int
    run_at: int
    created_at: int
    context: str
    type: Literal["http", "exec"]
    payload: bytes
    parent_id: int | None = None


class Job(msgspec.Struct, frozen=True):
    """A job that a node has claimed.

    `claim_seq` grows with every claim and is the fence. `attempt` counts runs; those that were not the job's own
    doing (`refunded`: interrupted, snoozed or lost with their node) don't count towards the retry's max_attempts.
    `losses` counts the times its node died while it ran. `may_have_placeholders` is false when the stored plan has
    nothing that looks like one, which is cheap to see there.
    """

    id: int
    state: State
    claim_seq: int
    attempt: int
    refunded: int
    losses: int
    priority: int
    context: str
    created_at: int
    claimed_at: int
    node_id: int
    plan: Plan
    may_have_placeholders: bool = True

    @property
    def counted_attempts(self) -> int:
        """Attempts that count towards max_attempts."""
        return self.attempt - self.refunded


class Attempt(msgspec.Struct, frozen=True):
    """One run of a job, as it is recorded when it ends."""

    job_id: int
    claim_seq: int
    number: int
    node_id: int
    started_at: int
    ended_at: int
    outcome: OutcomeKind
    exit_code: int | None = None
    signal: str | None = None
    error: str | None = None
    output: Output = NO_OUTPUT


_encode = msgspec.json.Encoder().encode
_decode_plan = msgspec.json.Decoder(Plan).decode


def encode_plan(plan: Plan) -> bytes:
    """The plan as stored."""
    return _encode(plan)


def decode_plan(payload: bytes | str) -> Plan:
    """The stored plan. A payload that can't be read gives a plan whose command fails, so no bad row blocks a batch."""
    try:
        return _decode_plan(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Plan(command=Unreadable(reason=f"the stored job can't be read by this version: {error}"))


MAX_DELAY_S = YEAR_S
