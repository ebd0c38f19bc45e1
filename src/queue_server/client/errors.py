"""What can go wrong between a client and its server, all below QueueServerError.

QueueServerError
└── ClientError                  .status and .problem, None where the server told none
    ├── Unreachable              no answer, or none to its end
    ├── ForeignAnswer            something answered that is no Queue Server
    ├── StillGoingOn             the time to wait is over (also a TimeoutError)
    └── Refused                  the server answered with an error
        ├── Invalid              400, with .errors
        ├── NotAuthorised        401; 403: a setting or the token forbids it
        ├── NotFound             404
        ├── Conflict             409: not in this state
        ├── Deleted              410: the job of this idempotency key has been deleted since
        ├── TooLarge             413
        ├── IdempotencyMismatch  422: the key was used for another job
        └── Unavailable          503, with .retry_after

QueueServerError
└── InvalidSignature             a request that `verify` looked at was not sent by the server
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from queue_server.client.results import Job, Operation
from queue_server.domain.errors import QueueServerError


class Mistake(msgspec.Struct, frozen=True):
    """One thing that is wrong in a request, with a JSON pointer to it."""

    pointer: str = ""
    detail: str = ""


class Problem(msgspec.Struct, frozen=True):
    """An error answer (RFC 9457)."""

    title: str = ""
    detail: str = ""
    errors: tuple[Mistake, ...] = ()


class InvalidSignature(QueueServerError):
    """A request is not signed, not with this secret, or not lately."""


class ClientError(QueueServerError):
    """The root of the client's errors. `added` are the jobs that `add_many` had added before."""

    def __init__(self, message: str, *, status: int | None = None, problem: Problem | None = None) -> None:
        self.status = status
        self.problem = problem
        self.added: tuple[int, ...] = ()
        super().__init__(message)


class Unreachable(ClientError):
    """There was no answer, or it broke off.

    `is_refused`: there was not even a connection, so nothing was sent. `was_reached`: the same client has had an
    answer before, so the address is right.
    """

    def __init__(self, message: str, *, is_refused: bool = False, was_reached: bool = False) -> None:
        self.is_refused = is_refused
        self.was_reached = was_reached
        super().__init__(message)


class ForeignAnswer(ClientError):
    """The answer is not one of a Queue Server: a wrong address, or a proxy that speaks for it."""


class StillGoingOn(ClientError, TimeoutError):
    """What was waited for has not ended in time; `last` is how it was seen last."""

    def __init__(self, message: str, last: Job | Operation) -> None:
        self.last = last
        super().__init__(message)


class Refused(ClientError):
    """The server answered with an error. `retry_after`: seconds after which it wants to be asked again."""

    def __init__(self, message: str, *, status: int, problem: Problem, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message, status=status, problem=problem)


class Invalid(Refused):
    """The request has mistakes; `errors` holds each that was found."""

    @property
    def errors(self) -> tuple[Mistake, ...]:
        """The mistakes, with a JSON pointer to each."""
        return self.problem.errors if self.problem else ()


class NotAuthorised(Refused):
    """The token is missing or wrong, or a setting of the server forbids this."""


class NotFound(Refused):
    """There is no such job, attempt or operation."""


class Conflict(Refused):
    """The job is not in a state for this, or the claim no longer owns it."""


class Deleted(Refused):
    """The job that was added with this idempotency key has been deleted since."""


class TooLarge(Refused):
    """The body is larger than the server takes."""


class IdempotencyMismatch(Refused):
    """The idempotency key has been used for another job."""


class Unavailable(Refused):
    """The server can't take this now: it is stopping, or full. Try again after `retry_after` seconds."""


REFUSALS: Mapping[int, type[Refused]] = MappingProxyType(
    {
        400: Invalid,
        401: NotAuthorised,
        403: NotAuthorised,
        404: NotFound,
        409: Conflict,
        410: Deleted,
        413: TooLarge,
        422: IdempotencyMismatch,
        503: Unavailable,
    }
)
"""The error for each status; any other one is a plain Refused."""
