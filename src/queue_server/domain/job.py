"""The job: what a client asks for, what is stored, and what is known of it while it lives.

    JobRequest   the JSON of /jobs/add and /v1/jobs, with all its optional members
    Plan         the part of it that is kept as the job's payload: commands, callbacks, retry, limits
    NewJob       a row to be added: the plan's bytes and the columns that the claim needs
    Job          a claimed job: what `lifecycle.decide` looks at
    Attempt      one run of a job, as recorded when it ends
    JobRecord    a job as a reader sees it

Times are integer microseconds UTC.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from queue_server.domain.command import Command, ExecCommand, HttpCommand, Unreadable
from queue_server.domain.outcome import NO_OUTPUT, NO_TIMINGS, OutcomeKind, Output, Timings
from queue_server.domain.retry import YEAR_S, Delay, Retry, RetryWish
from queue_server.domain.state import State

NO_CONTROLS = r"\A[^\x00-\x1f\x7f]*\Z"

Priority = Annotated[int, Meta(ge=0, le=1000, extra={"expected": "a whole number from 0 to 1000"})]
Context = Annotated[
    str,
    Meta(
        max_length=255,
        pattern=NO_CONTROLS,
        extra={"expected": "a text of at most 255 characters without control characters"},
    ),
]
ShortText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=NO_CONTROLS,
        extra={"expected": "a text of 1 to 255 characters without control characters"},
    ),
]
QueueName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9._:-]{1,128}\Z",
        extra={"expected": "1 to 128 of letters, digits and the characters . _ : -"},
    ),
]
Instant = Annotated[str, Meta(max_length=64, extra={"expected": "an RFC 3339 time such as 2026-11-24T09:30:00Z"})]
Deadline = Annotated[float | str, Meta(extra={"expected": "seconds, or an RFC 3339 time such as 2026-11-24T09:30:00Z"})]
TAG_LIMIT = 32
Tags = Annotated[dict[str, str], Meta(max_length=TAG_LIMIT, extra={"expected": "an object of at most 32 texts"})]

Retention = Annotated[float, Meta(ge=0, le=10 * YEAR_S, extra={"expected": "seconds, from 0 to 316224000 (ten years)"})]

COMMAND_MEMBERS = ("command", "callback_done", "callback_failed")
"""The members of a request, and of a plan, that are commands."""

Commands = Mapping[str, HttpCommand | ExecCommand | Unreadable | None]

PRIORITY_MAX = 1000
DEFAULT_QUEUE = "default"
CANCELLED = "cancelled on request"


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job as a client writes it. Only `command` is required; see docs/api.md for each member."""

    command: Command
    priority: Priority | UnsetType = UNSET
    context: Context | UnsetType = UNSET
    callback_done: Command | None = None
    callback_failed: Command | None = None
    delay: Delay | None = None
    run_at: Instant | None = None
    retry: RetryWish | None = None
    queue: QueueName | UnsetType = UNSET
    key: ShortText | None = None
    ttl: Delay | None = None
    expires_at: Instant | None = None
    deadline: Deadline | None = None
    retention: Retention | None = None
    tags: Tags | None = None
    idempotency_key: ShortText | None = None


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
    """A job's payload. `report` is set on callbacks only, which have no callbacks. `retention` is in seconds.

    `token_id` is the token of whoever wrote its commands, None where none was asked for. `secrets` are the sealed texts
    that belong in the place of the commands' `***`; see `hiding`.
    """

    command: HttpCommand | ExecCommand | Unreadable
    callback_done: Command | None = None
    callback_failed: Command | None = None
    retry: Retry | None = None
    report: Report | None = None
    expires_at: int | None = None
    deadline: int | None = None
    retention: float | None = None
    tags: dict[str, str] | None = None
    token_id: int | None = None
    secrets: dict[str, str] | None = None

    @property
    def commands(self) -> Commands:
        """The commands, by the names of their members."""
        return {name: getattr(self, name) for name in COMMAND_MEMBERS}

    def secrets_in(self, member: str) -> Mapping[str, str]:
        """The sealed texts of one of its commands."""
        start = f"/{member}/"
        return {place: text for place, text in (self.secrets or {}).items() if place.startswith(start)}


class Once(msgspec.Struct, frozen=True):
    """An idempotency key: whoever adds a job with it again, in the same scope, gets the first one.

    `fingerprint` tells the same request from another one. The key is kept until `until`, at least.
    """

    scope: str
    key: str
    fingerprint: bytes
    until: int


class NewJob(msgspec.Struct, frozen=True, gc=False):
    """A row to add. `parent_id` is the job that a callback reports. `payload` is an encoded Plan.

    `overdue_at` is when the job ends as failed unless it has started by then.
    """

    state: State
    priority: int
    run_at: int
    created_at: int
    context: str
    type: Literal["http", "exec"]
    payload: bytes
    parent_id: int | None = None
    queue: str = DEFAULT_QUEUE
    key: str | None = None
    overdue_at: int | None = None
    tags: Mapping[str, str] | None = None
    once: Once | None = None


class Job(msgspec.Struct, frozen=True):
    """A job that a node has claimed.

    `claim_seq` grows with every claim and is the fence. `attempt` counts runs; those that were not the job's own
    doing (`refunded`: interrupted, snoozed or lost with their node) don't count towards the retry's max_attempts.
    `losses` counts the times its node died while it ran. `may_have_placeholders` is false when the stored plan has
    nothing that looks like one, which is cheap to see there. `due_at` is when this attempt was due, and
    `first_started_at` when the first one of its budget was claimed. Once `is_cancel_wished`, no other attempt follows;
    `cancel_reason` says why.
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
    due_at: int = 0
    first_started_at: int = 0
    queue: str = DEFAULT_QUEUE
    key: str | None = None
    is_cancel_wished: bool = False
    cancel_reason: str = CANCELLED

    @property
    def counted_attempts(self) -> int:
        """Attempts that count towards max_attempts."""
        return self.attempt - self.refunded


class Attempt(msgspec.Struct, frozen=True):
    """One run of a job, as it is recorded when it ends. It was due at `due_at` and started at `started_at`."""

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
    due_at: int | None = None
    timings: Timings = NO_TIMINGS


class JobRecord(msgspec.Struct, frozen=True):
    """A job as a reader sees it, with the facts of its last ended attempt.

    `overdue_at` is when a waiting job ends as failed, or when a job that goes on past its request (`is_continued`)
    has to have given a sign of life. `keep_until` is set for a final job that has its own retention.
    """

    id: int
    state: State
    priority: int
    run_at: int
    context: str
    attempt: int
    claim_seq: int
    node_id: int | None
    created_at: int
    claimed_at: int | None
    ended_at: int | None
    reason: str
    parent_id: int | None
    plan: Plan
    outcome: OutcomeKind | None = None
    exit_code: int | None = None
    error: str | None = None
    queue: str = DEFAULT_QUEUE
    key: str | None = None
    refunded: int = 0
    losses: int = 0
    first_started_at: int | None = None
    overdue_at: int | None = None
    keep_until: int | None = None
    cancel_wished_at: int | None = None

    @property
    def is_continued(self) -> bool:
        """Whether its attempt goes on at the target, past the request."""
        return self.state is State.RUNNING and self.overdue_at is not None

    def as_job(self) -> Job:
        """The job as `lifecycle.decide` looks at it."""
        started_at = self.claimed_at or self.created_at
        is_cancel_wished = self.cancel_wished_at is not None
        return Job(
            id=self.id,
            state=self.state,
            claim_seq=self.claim_seq,
            attempt=self.attempt,
            refunded=self.refunded,
            losses=self.losses,
            priority=self.priority,
            context=self.context,
            created_at=self.created_at,
            claimed_at=started_at,
            node_id=self.node_id or 0,
            plan=self.plan,
            due_at=self.run_at,
            first_started_at=self.first_started_at or started_at,
            queue=self.queue,
            key=self.key,
            is_cancel_wished=is_cancel_wished,
            cancel_reason=(self.reason if is_cancel_wished else "") or CANCELLED,
        )


OWN_SIZE = 512
"""Bytes from which a plan is copied: the encoder cuts its text off a longer one, and many kept texts with what was cut
off between them take half as much memory again."""

_encode = msgspec.json.Encoder().encode
_decode_plan = msgspec.json.Decoder(Plan).decode


def encode_plan(plan: Plan) -> bytes:
    """The plan as stored."""
    text = _encode(plan)
    return text if len(text) < OWN_SIZE else bytes(memoryview(text))


def decode_plan(payload: bytes | str) -> Plan:
    """The stored plan. A payload that can't be read gives a plan whose command fails, so no bad row blocks a batch."""
    try:
        return _decode_plan(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Plan(command=Unreadable(reason=f"the stored job can't be read by this version: {error}"))
