"""The tree of errors, all below QueueServerError.

    QueueServerError
    ├── InvalidJob            a client sent something that is not a job            400
    ├── NotAllowed            the job is well-formed, a setting forbids it         403
    ├── InvalidSetting        a flag, variable or settings file is wrong           exit 2
    ├── CannotStart           the machine is not as the settings say               exit 1
    └── StoreError
        ├── StoreUnavailable  try again later: full, busy, stopping                503
        └── StoreRefused      the database can't be opened, or not by this version exit 1

What is expected (not found, claim lost) is a return value, not an error.
"""

from collections.abc import Sequence

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a job: where (a JSON pointer, RFC 6901) and what, in one sentence."""

    path: str
    message: str


class QueueServerError(Exception):
    """The root of all errors that Queue Server raises on purpose."""


class InvalidJob(QueueServerError):
    """The job has errors; `problems` lists every one that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.path or '/'}: {p.message}" for p in self.problems))


class NotAllowed(QueueServerError):
    """A setting forbids this job; `path` points at the member that is refused."""

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(message)


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
