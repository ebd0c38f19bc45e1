"""What happened in an attempt. What follows from it is decided in `lifecycle`."""

from enum import StrEnum

import msgspec


class OutcomeKind(StrEnum):
    """The ways an attempt can end."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    LEASE_EXPIRED = "lease_expired"
    SNOOZED = "snoozed"


class Output(msgspec.Struct, frozen=True):
    """What a command printed or a target answered, each part already cut to the output limit.

    `text` is stdout, or the response's body; `error_text` is stderr; `head` is the response's status line and
    headers. All are bytes as received: nothing is decoded before somebody reads it. `size` and `error_size`
    count what was received in full.
    """

    text: bytes = b""
    error_text: bytes = b""
    head: bytes = b""
    size: int = 0
    error_size: int = 0


NO_OUTPUT = Output()


class Outcome(msgspec.Struct, frozen=True):
    """The end of one attempt.

    `exit_code` is the HTTP status or the process's exit code (128 + N when signal N ended it, as shells count).
    `retry_after` is the target's wish in seconds (RFC 9110 section 10.2.3). `error` is one sentence.
    """

    kind: OutcomeKind
    exit_code: int | None = None
    signal: str | None = None
    error: str | None = None
    retry_after: float | None = None
    output: Output = NO_OUTPUT


SUCCEEDED = OutcomeKind.SUCCEEDED
FAILED = OutcomeKind.FAILED
TIMED_OUT = OutcomeKind.TIMED_OUT
SNOOZED = OutcomeKind.SNOOZED
