"""From an answer of the server, or from none, to its body or to an error that a user understands."""

from typing import TYPE_CHECKING, TypeVar

import msgspec

from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.wire import Problem

if TYPE_CHECKING:
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.response import BaseResponse

T = TypeVar("T")

_CODES = {401: Exit.NOT_AUTHORISED, 403: Exit.NOT_AUTHORISED, 404: Exit.NOT_FOUND}


def read(body: bytes, answer: type[T], url: str) -> T:
    """The body as the answer that was asked for."""
    try:
        return msgspec.json.decode(body, type=answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CommandError(f"{url} did not answer as a Queue Server does; is its address right?") from None


def error_of(response: "BaseResponse", body: bytes, url: str) -> CommandError | None:
    """The error that the answer reports, if it does."""
    status = response.status
    if status < 300:
        return None
    problem = _problem(body)
    if problem is None:
        return CommandError(_foreign_answer(response, url), _CODES.get(status, Exit.FAILED))
    lines = [_first_line(status, problem, response.get_header("retry-after"))]
    lines += [f"{error.pointer or '/'}: {error.detail}" for error in problem.errors]
    return CommandError("\n".join(lines), _CODES.get(status, Exit.FAILED))


def no_answer(url: str, error: "PyreqwestError") -> CommandError:
    """The error for a server that could not be reached, or that did not answer to the end."""
    from pyreqwest.exceptions import ConnectError, RequestTimeoutError

    reason = _root_cause(error)
    if isinstance(error, RequestTimeoutError):
        return CommandError(f"{url} did not answer in time ({reason})", Exit.UNREACHABLE)
    if not isinstance(error, ConnectError):
        return CommandError(f"the connection to {url} broke ({reason})", Exit.UNREACHABLE)
    hint = "is the server running? start it with: queue-server serve"
    return CommandError(f"can't reach {url} ({reason}); {hint}", Exit.UNREACHABLE)


def _first_line(status: int, problem: Problem, retry_after: str | None) -> str:
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


def _root_cause(error: "PyreqwestError") -> str:
    """The innermost cause in words: `connection refused`, without its number."""
    details = getattr(error, "details", None) or {}
    causes = details.get("causes") or [{"message": error.message}]
    text = causes[-1]["message"].partition(" (os error")[0]
    return text[:1].lower() + text[1:]
