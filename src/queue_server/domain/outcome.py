"""What happened in an attempt. What follows from it is decided in `lifecycle`."""

from enum import StrEnum

import msgspec


class OutcomeKind(StrEnum):
    """The ways an attempt can end, and two that are no end of one.

    An `expired` job was not started in time. A `continued` attempt goes on at its target past the request.
    """

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    LEASE_EXPIRED = "lease_expired"
    SNOOZED = "snoozed"
    EXPIRED = "expired"
    CONTINUED = "continued"


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


class Timings(msgspec.Struct, frozen=True):
    """How long the parts of a request took, in microseconds from the attempt's start; None for a part it never reached.

    `connect` is when the connection stood (0 for one that was kept), `first_byte` when the response began.
    """

    connect: int | None = None
    first_byte: int | None = None


NO_TIMINGS = Timings()


class Outcome(msgspec.Struct, frozen=True):
    """The end of one attempt.

    `exit_code` is the HTTP status or the process's exit code (128 + N when signal N ended it, as shells count).
    `retry_after` is the target's wish in seconds (RFC 9110 section 10.2.3). `error` is one sentence. `heartbeat` is how
    many seconds may pass before a continued attempt gives a sign of life.
    """

    kind: OutcomeKind
    exit_code: int | None = None
    signal: str | None = None
    error: str | None = None
    retry_after: float | None = None
    output: Output = NO_OUTPUT
    timings: Timings = NO_TIMINGS
    heartbeat: float = 60.0


SUCCEEDED = OutcomeKind.SUCCEEDED
FAILED = OutcomeKind.FAILED
TIMED_OUT = OutcomeKind.TIMED_OUT
SNOOZED = OutcomeKind.SNOOZED
