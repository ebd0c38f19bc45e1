"""The driver's errors: which are tried again, and what they are called outside this folder."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# (the driver has no stubs)

import asyncpg
from asyncpg import exceptions

from queue_server.domain.errors import QueueServerError, StoreError, StoreRefused, StoreUnavailable

CONFLICTS = (exceptions.DeadlockDetectedError, exceptions.SerializationError, exceptions.LockNotAvailableError)
"""Another transaction was in the way: this one was undone, or waited too long for a lock."""


class Contended(Exception):
    """Another transaction has just done what this one was to do: it has to look again."""


LOST = (
    OSError,  # also TimeoutError
    EOFError,
    exceptions.PostgresConnectionError,
    exceptions.OperatorInterventionError,
    exceptions.ReadOnlySQLTransactionError,  # a primary that is none any more
    exceptions.IdleInTransactionSessionTimeoutError,
    exceptions.InternalClientError,  # also that of several hosts none takes writes
)
"""The connection is gone, or of no use any more."""

POOLED = "a pooler hands transactions around; tell it so with ?listen=off&prepared=off"

REFUSALS: dict[type[Exception], str] = {
    exceptions.InvalidPasswordError: "the server refuses the user or the password",
    exceptions.InvalidAuthorizationSpecificationError: "the server refuses the user or the password",
    exceptions.InvalidCatalogNameError: "there is no such database; make it with createdb",
    exceptions.InsufficientPrivilegeError: "the user may not do what is needed there: let it own the database",
    exceptions.TargetServerAttributeNotMatched: "none of its servers takes writes",
    exceptions.InvalidSQLStatementNameError: POOLED,
    exceptions.DuplicatePreparedStatementError: POOLED,
}

TIME_LIMIT_S = 5
"""What a query may take."""

RETRY_AFTER_S = 5


def is_conflict(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is tried again."""
    return isinstance(error, (*CONFLICTS, Contended))


def is_duplicate(error: BaseException) -> bool:
    """Whether a row, or a table or index, is there already."""
    return isinstance(error, exceptions.UniqueViolationError | exceptions.DuplicateTableError)


def is_lost(error: BaseException) -> bool:
    """Whether the connection can't be used any more."""
    if isinstance(error, exceptions.QueryCanceledError):
        return False
    if isinstance(error, exceptions.InterfaceError):
        return not isinstance(error, ValueError)  # a value that the driver can't encode is one too
    return isinstance(error, LOST)


def translated(error: Exception) -> Exception:
    """The error as callers of a store know it."""
    if isinstance(error, exceptions.QueryCanceledError):
        return StoreUnavailable(f"the query took longer than {TIME_LIMIT_S} s; narrow it down")
    if is_lost(error):
        return StoreUnavailable("the database does not answer")
    if is_conflict(error):
        return StoreUnavailable("the database is busy: other transactions are in the way")
    if isinstance(error, exceptions.InsufficientResourcesError):
        return StoreUnavailable(f"the database has no room: {error}", retry_after=RETRY_AFTER_S)
    if isinstance(error, asyncpg.PostgresError | exceptions.InterfaceError | UnicodeError | OverflowError):
        return StoreError(f"can't be stored: {error}")
    return error


def refusal(error: Exception, label: str) -> StoreRefused:
    """Why a database can't be used at start: one line for a person."""
    if isinstance(error, StoreRefused):
        return error
    if isinstance(error, QueueServerError):
        return StoreRefused(f"{label} can't be used: {error}")
    for kind, why in REFUSALS.items():
        if isinstance(error, kind):
            return StoreRefused(f"{label} can't be used: {why}")
    why = str(error).partition("\n")[0] or "no answer"
    return StoreRefused(f"{label} can't be used: {why}")
