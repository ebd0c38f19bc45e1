"""The tree of errors, all below QueueServerError.

    QueueServerError
    ├── InvalidJob            a client sent something that is not a job            400
    ├── NotAllowed            the job is well-formed, a setting forbids it         403
    ├── WrongState            the job is not in a state for what is asked          409
    ├── Conflict              what is there already forbids what is asked          409
    ├── JobDeleted            the job of an idempotency key has been deleted       410
    ├── KeyMismatch           an idempotency key comes with another job            422
    ├── InvalidSetting        a flag, variable or settings file is wrong           exit 2
    ├── CannotStart           the machine is not as the settings say               exit 1
    └── StoreError
        ├── StoreUnavailable  try again later: full, busy, stopping                503
        └── StoreRefused      the database can't be opened, or not by this version exit 1
            └── StoreInUse    another server has it open                           exit 1

What is expected (not found, claim lost) is a return value, not an error.
"""

from collections.abc import Sequence

import msgspec

PROBLEMS_LIMIT = 100
"""So many are told: nobody reads more, and an answer must not be many times as long as its request."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a job: where (a JSON pointer, RFC 6901) and what, in one sentence."""

    path: str
    message: str


class QueueServerError(Exception):
    """The root of all errors that Queue Server raises on purpose."""


class InvalidJob(QueueServerError):
    """The job has errors; `problems` lists what was found: all of it, or PROBLEMS_LIMIT and how many more there are."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        more = len(problems) - PROBLEMS_LIMIT
        if more > 1:
            problems = [*problems[:PROBLEMS_LIMIT], Problem("", f"{more} more problems are not listed")]
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.path or '/'}: {p.message}" for p in self.problems))


class NotAllowed(QueueServerError):
    """A setting forbids this job; `path` points at the member that is refused."""

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(message)


class WrongState(QueueServerError):
    """What was asked can't be done in the state that the job is in."""


class Conflict(QueueServerError):
    """What was asked can't be done as things stand; `path` points at the member that is in the way, if one is."""

    def __init__(self, message: str, path: str = "") -> None:
        self.path = path
        super().__init__(message)


class JobDeleted(QueueServerError):
    """The job that an idempotency key stands for has ended and been deleted; it is not made again."""


class KeyMismatch(QueueServerError):
    """The idempotency key `key` belongs to job `job_id`, which was asked for in another way."""

    def __init__(self, key: str, job_id: int) -> None:
        self.key = key
        self.job_id = job_id
        super().__init__(f"the idempotency key {key!r} belongs to job {job_id}, which is a different one")


class SecretUnavailable(QueueServerError):
    """A secret can't be sealed or opened: its key is not there, or it is gone itself. The message never tells it."""


class InvalidSetting(QueueServerError):
    """A setting can't be used; the message names it and where it came from."""


class CannotStart(QueueServerError):
    """The server can't start here: the address is taken, a folder is missing."""


class StoreError(QueueServerError):
    """The store did not do what was asked, and nothing of it was kept."""


class StoreUnavailable(StoreError):
    """The store can't take this now; the client may try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class StoreRefused(StoreError):
    """The database can't be used by this server at all."""


class StoreInUse(StoreRefused):
    """Another server has the database open."""
