"""From an answer of the server, or from none, to its body or to an error that a user understands."""

from typing import TYPE_CHECKING, TypeVar

import msgspec

from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.wire import Problem

if TYPE_CHECKING:
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.response import BaseResponse

T = TypeVar("T")

_NOT_CONNECTED = "client error (Connect)"
"""Pyreqwest 0.15 raises ConnectError also for a connection that breaks later; this cause tells them apart."""
_CODES = {401: Exit.NOT_AUTHORISED, 403: Exit.NOT_AUTHORISED, 404: Exit.NOT_FOUND}


class RefusalError(CommandError):
    """The server answered with an error status."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message, _CODES.get(status, Exit.FAILED))


def read(body: bytes, answer: type[T], url: str) -> T:
    """The body as the answer that was asked for."""
    try:
        return msgspec.json.decode(body, type=answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CommandError(f"{url} did not answer as a Queue Server does; is its address right?") from None


def error_of(response: "BaseResponse", body: bytes, url: str) -> RefusalError | None:
    """The error that the answer reports, if it does."""
    status = response.status
    if status < 300:
        return None
    problem = _problem(body)
    if problem is None:
        return RefusalError(_foreign_answer(response, url), status)
    lines = [f"{error.pointer}: {error.detail}" if error.pointer else error.detail for error in problem.errors]
    if len(lines) > 1:
        lines.insert(0, f"{len(lines)} errors")
    told = "\n".join(lines) or _sentence(status, problem, response.get_header("retry-after"))
    return RefusalError(told, status)


def no_answer(url: str, error: "PyreqwestError") -> CommandError:
    """The error for a server that could not be reached, or that did not answer to the end."""
    from pyreqwest.exceptions import RequestTimeoutError

    causes = _causes(error)
    reason = causes[-1].partition(" (os error")[0]
    reason = reason[:1].lower() + reason[1:]
    if isinstance(error, RequestTimeoutError):
        return CommandError(f"{url} did not answer in time ({reason})", Exit.UNREACHABLE)
    if _NOT_CONNECTED not in causes:
        return CommandError(f"the connection to {url} broke ({reason})", Exit.UNREACHABLE)
    hint = "is the server running? start it with: queue-server serve"
    return CommandError(f"can't reach {url} ({reason}); {hint}", Exit.UNREACHABLE)


def _sentence(status: int, problem: Problem, retry_after: str | None) -> str:
    told = problem.detail or problem.title or f"the server answered {status}"
    match status:
        case 401:
            return f"{told} (set QUEUE_SERVER_TOKEN)"
        case 503 if retry_after:
            return f"{told} (try again in {retry_after} s)"
        case _:
            return told


def _problem(body: bytes) -> Problem | None:
    """The problem that the body describes; none if it is not one of a Queue Server."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return problem if problem.title or problem.detail else None


def _foreign_answer(response: "BaseResponse", url: str) -> str:
    if 300 <= response.status < 400 and (target := response.get_header("location")):
        return f"{url} redirects to {target}; give that as --server if it is your Queue Server"
    return f"{url} answered {response.status}, and not as a Queue Server does; is its address right?"


def _causes(error: "PyreqwestError") -> list[str]:
    """The error in words, from the outermost cause to the innermost: `Connection refused (os error 111)`."""
    from pyreqwest.exceptions import DetailedPyreqwestError

    causes = (error.details["causes"] if isinstance(error, DetailedPyreqwestError) else None) or []
    return [error.message, *(cause["message"] for cause in causes)]
