"""What the server answers, as far as the command line reads it. Members unknown to it are skipped."""

from datetime import datetime

import msgspec
from msgspec import Raw

from queue_server.domain.state import FINAL_STATES, State


class Job(msgspec.Struct, frozen=True):
    """A job as /v1/jobs shows it. `state` is a text: a newer server may know more states."""

    id: int
    state: str
    created_at: datetime
    type: str = ""
    summary: str = ""
    priority: int = 0
    context: str = ""
    attempt: int = 0
    max_attempts: int = 1
    command: Raw = Raw(b"null")
    callback_done: Raw = Raw(b"null")
    callback_failed: Raw = Raw(b"null")
    retry: Raw = Raw(b"null")
    run_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str | None = None
    exit_code: int | None = None
    error: str | None = None
    reason: str | None = None
    parent_id: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state in FINAL_STATES

    @property
    def has_failed(self) -> bool:
        """Whether the job has ended in another way than it should."""
        return self.is_final and self.state != State.COMPLETED


class Attempt(msgspec.Struct, frozen=True):
    """One run of a job."""

    number: int
    started_at: datetime
    outcome: str
    ended_at: datetime | None = None
    duration: float | None = None
    node_id: int | None = None
    exit_code: int | None = None
    signal: str | None = None
    error: str | None = None


class Page(msgspec.Struct, frozen=True):
    """A part of a list. The items stay as the server wrote them, for `-o json`."""

    items: list[Raw]
    next_cursor: str | None = None


class Slots(msgspec.Struct, frozen=True):
    """The job slots of all nodes."""

    total: int
    free: int


class Stats(msgspec.Struct, frozen=True):
    """The answer of /v1/stats."""

    version: str
    jobs: dict[str, int]
    slots: Slots


class ProblemError(msgspec.Struct, frozen=True):
    """One mistake in a request, with a JSON pointer to it."""

    pointer: str = ""
    detail: str = ""


class Problem(msgspec.Struct, frozen=True):
    """An error answer (RFC 9457)."""

    title: str = ""
    detail: str = ""
    errors: tuple[ProblemError, ...] = ()
