"""The driver's errors: which are tried again, and what they are called outside this folder.

A number is the server's (1000 and up) or the driver's own (2000 to 2999, 0), as both manuals list them.
"""

from asyncmy import errors

from queue_server.domain.errors import QueueServerError, StoreError, StoreRefused, StoreUnavailable

CONFLICTS = frozenset({1020, 1205, 1213, 3101})
"""Another transaction was in the way: this one was undone, or waited too long for a lock. 3101: Group Replication's."""

DUPLICATE = 1062

LOST = frozenset(
    {*(0, 1053, 1079, 1080, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 1927, 3032, 3169, 4031), *range(2000, 2060)}
)
"""The connection is gone. MySQL alone says so with 3032 (offline mode), 3169 (killed) and 4031 (idle for too long)."""

TIME_LIMIT_S = 5
"""What a query may take."""

_NO_CONNECTION = "the database takes no more connections"
_TOO_SLOW = f"the query took longer than {TIME_LIMIT_S} s; narrow it down"
_READ_ONLY = "the database is read-only"
_FULL = "the disk of the database is full or fails"

DEMOTED = frozenset({1290, 1792, 1836})
"""The server takes no writes any more: another one may by now."""

PASSING = {
    **dict.fromkeys((1040, 1129, 1203, 1226), _NO_CONNECTION),
    **dict.fromkeys((1317, 1969, 3024), _TOO_SLOW),
    **dict.fromkeys(DEMOTED, _READ_ONLY),
    **dict.fromkeys((1021, 1030, 1114), _FULL),
}
"""What ends when the database has room again, or somebody changes its settings: the next transaction may do."""

REFUSALS = {
    1044: "the user {user} may not use it",
    1045: "the server refuses the user {user} or the password",
    1049: "there is no such database: create database {database}",
    1142: "the user {user} may not do what is needed there",
    1227: "the user {user} may not do what is needed there",
    1251: "the server wants a way to log in that is not known here",
    1698: "the server refuses the user {user} or the password",
    2059: "the server wants a way to log in that is not known here",
}

RETRY_AFTER_S = 5


class Contended(Exception):
    """Another transaction has just written what this one was to write: tried again, it sees it."""


def number_of(error: BaseException) -> int | None:
    """The error's number, None where it is no error of the driver."""
    if not isinstance(error, errors.MySQLError):
        return None
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def is_conflict(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is tried again."""
    return isinstance(error, Contended) or number_of(error) in CONFLICTS


def is_lost(error: BaseException) -> bool:
    """Whether the connection can't be used any more."""
    return isinstance(error, OSError | TimeoutError) or number_of(error) in LOST


def is_demoted(error: BaseException) -> bool:
    """Whether the server has become one that is only read from."""
    return number_of(error) in DEMOTED


def translated(error: Exception) -> QueueServerError:
    """The error as callers of a store know it: StoreUnavailable where it may be tried again later, else StoreError."""
    if isinstance(error, QueueServerError):
        return error
    if is_lost(error):
        return StoreUnavailable("the database does not answer")
    if is_conflict(error):
        return StoreUnavailable("the database is busy: other transactions are in the way")
    if (why := PASSING.get(number_of(error) or 0)) is not None:
        return StoreUnavailable(why, retry_after=RETRY_AFTER_S)
    return StoreError(f"can't be stored: {text_of(error)}")


def refusal(error: Exception, label: str, user: str, database: str) -> StoreRefused:
    """Why a database can't be used at start: one line for a person."""
    known = REFUSALS.get(number_of(error) or 0)
    why = known.format(user=user, database=database) if known else text_of(error)
    return StoreRefused(f"{label} can't be used: {why}")


def text_of(error: Exception) -> str:
    """What the server or the driver says."""
    return str(error.args[-1]) if error.args else type(error).__name__
