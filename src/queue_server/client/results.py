"""What the server answers, typed. Members that a newer server adds are skipped here, and kept in `raw`.

States, outcomes and types are texts: a newer server may know more of them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from queue_server.domain.state import FINAL_STATES, State

T = TypeVar("T")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the server told. `raw` is its JSON, as the server wrote it."""

    raw: bytes = msgspec.field(default=b"", name="(raw)")

    def __rich_repr__(self) -> Any:
        """All but `raw`, which says the same again."""
        for name in self.__struct_fields__[1:]:
            yield name, getattr(self, name)

    def __repr__(self) -> str:
        members = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({members})"


R = TypeVar("R", bound=Result)


def decode(body: bytes, kind: type[R]) -> R:
    """The JSON as a result, with `raw`; msgspec's errors when it is none."""
    return msgspec.structs.replace(msgspec.json.decode(body, type=kind), raw=bytes(body))


class Job(Result, frozen=True, kw_only=True):
    """A job as /v1 shows it."""

    id: int
    state: str
    created_at: datetime
    type: str = ""
    summary: str = ""
    queue: str = "default"
    key: str | None = None
    priority: int = 0
    context: str = ""
    tags: dict[str, str] = {}
    command: dict[str, Any] | None = None
    callback_done: dict[str, Any] | None = None
    callback_failed: dict[str, Any] | None = None
    retry: dict[str, Any] | None = None
    attempt: int = 0
    max_attempts: int = 1
    run_at: datetime | None = None
    expires_at: datetime | None = None
    deadline: datetime | None = None
    retention: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str | None = None
    exit_code: int | None = None
    error: str | None = None
    reason: str | None = None
    parent_id: int | None = None
    node_id: int | None = None
    claim: int = 0
    cancel_requested: bool = False
    heartbeat_until: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state in FINAL_STATES

    @property
    def has_failed(self) -> bool:
        """Whether the job has ended in another way than it should: failed or cancelled."""
        return self.is_final and self.state != State.COMPLETED


class Attempt(Result, frozen=True, kw_only=True):
    """One run of a job. `queued` is from due to started; `connect` and `first_byte` are from the start; in seconds."""

    number: int
    started_at: datetime
    outcome: str
    claim: int = 0
    node_id: int | None = None
    ended_at: datetime | None = None
    duration: float | None = None
    queued: float | None = None
    connect: float | None = None
    first_byte: float | None = None
    exit_code: int | None = None
    signal: str | None = None
    error: str | None = None
    output_size: int | None = None


class Event(Result, frozen=True, kw_only=True):
    """Something that happened to a job.

    Two types are the stream's own: `job` brings the job as it is now, and `reset` says that events were missed, so
    that what was built from them has to be read anew.
    """

    type: str
    id: str = msgspec.field(default="", name="(id)")
    job_id: int | None = None
    state: str = ""
    at: datetime | None = None
    queue: str = ""
    context: str = ""
    key: str | None = None
    attempt: int = 0
    outcome: str | None = None
    exit_code: int | None = None
    error: str | None = None
    reason: str | None = None
    job: Job | None = None

    @property
    def is_final(self) -> bool:
        """Whether the job has ended with it."""
        return self.state in FINAL_STATES


class Explanation(Result, frozen=True, kw_only=True):
    """Why a job is where it is, in a sentence, and the facts that this rests on."""

    id: int
    state: str
    sentence: str
    facts: dict[str, Any] = {}


class Heartbeat(Result, frozen=True, kw_only=True):
    """The answer to a sign of life. `cancel_requested`: stop working, and report a failure."""

    job_id: int
    claim: int
    heartbeat_until: datetime | None = None
    cancel_requested: bool = False


class Operation(Result, frozen=True, kw_only=True):
    """Many jobs being cancelled, retried or deleted. `skipped` were not in a state for it."""

    id: int
    action: str
    state: str
    created_at: datetime
    filter: dict[str, Any] = {}
    matched: int = 0
    done: int = 0
    skipped: int = 0
    ended_at: datetime | None = None
    error: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state != "running"


class Matched(Result, frozen=True, kw_only=True):
    """How many jobs a filter matched, and the operation that changes them; none for a dry run."""

    matched: int
    dry_run: bool = False
    operation: Operation | None = None


class Act(Result, frozen=True, kw_only=True):
    """A management action that somebody has carried out. `count` is None where it was one thing."""

    id: int
    at: datetime
    who: str
    action: str
    target: str
    address: str = ""
    token_id: int | None = None
    count: int | None = None
    details: str = ""


class Slots(msgspec.Struct, frozen=True):
    """The job slots of all nodes."""

    total: int
    free: int


class Stats(Result, frozen=True, kw_only=True):
    """Jobs by state, and the slots."""

    version: str
    jobs: dict[str, int]
    slots: Slots


class KeptSecret(Result, frozen=True, kw_only=True):
    """A secret that the server keeps, without its text. An old signing secret is in force `until` then."""

    name: str
    kind: str
    created_at: datetime
    until: datetime | None = None


class NewSecret(KeptSecret, frozen=True, kw_only=True):
    """A signing secret that has just been made, with its text, which is told this once."""

    secret: str

    def __rich_repr__(self) -> Any:
        """All but the text."""
        yield "name", self.name
        yield "kind", self.kind
        yield "created_at", self.created_at


class Rekeyed(Result, frozen=True, kw_only=True):
    """How many kept secrets were sealed anew, and with which key."""

    resealed: int
    key_id: str


class Added(Result, frozen=True, kw_only=True):
    """The jobs of a batch, in its order. `replayed` of them had been added before, with the same key."""

    ids: tuple[int, ...]
    count: int = 0
    replayed: int = 0


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list, and where the next part starts; None when there is none."""

    items: Sequence[T]
    next_cursor: str | None = None
