"""From an error to an answer, once, in two styles.

The first API answers `{"status": 400, "data": "…", "errors": [{"path": …, "message": …}]}`; the API under /v1 answers
RFC 9457 problem details with `errors[].pointer`.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException

from queue_server.domain.errors import (
    Conflict,
    InvalidJob,
    JobDeleted,
    KeyMismatch,
    NotAllowed,
    Problem,
    QueueServerError,
    StoreUnavailable,
    WrongState,
)
from queue_server.web.answers import JSON, PROBLEM, JsonResponse

V1 = "/v1"


STATUSES: Mapping[type[Exception], int] = {WrongState: 409, Conflict: 409, JobDeleted: 410, KeyMismatch: 422}


class Failure(msgspec.Struct, frozen=True):
    """What is answered: the status, one sentence, the problems found and headers to send along."""

    status: int
    sentence: str
    problems: Sequence[Problem] = ()
    headers: Mapping[str, str] | None = None


def failure_of(error: Exception) -> Failure:
    """What to answer for `error`; 500 only for what nobody expected."""
    match error:
        case InvalidJob():
            return Failure(400, _summary(error.problems), error.problems)
        case NotAllowed():
            return Failure(403, str(error), (Problem(error.path, str(error)),))
        case WrongState() | JobDeleted() | KeyMismatch() | Conflict():
            path = error.path if isinstance(error, Conflict) else ""
            return Failure(STATUSES[type(error)], str(error), (Problem(path, str(error)),) if path else ())
        case HTTPException():
            return Failure(error.status_code, error.detail, headers=error.headers)
        case QueueServerError():
            retry_after = error.retry_after if isinstance(error, StoreUnavailable) else 1
            return Failure(503, str(error), headers={"Retry-After": str(retry_after)})
        case _:
            return Failure(500, "an internal error; the server's log says more")


def answer(failure: Failure, path: str) -> JsonResponse:
    """The failure in the style of the API that `path` belongs to."""
    if path == V1 or path.startswith(V1 + "/"):
        return problem_answer(failure)
    return classic_answer(failure)


def classic_answer(failure: Failure) -> JsonResponse:
    """The first API's style."""
    content: dict[str, object] = {"status": failure.status, "data": failure.sentence}
    if failure.problems:
        content["errors"] = [{"path": problem.path, "message": problem.message} for problem in failure.problems]
    return JsonResponse(content, failure.status, failure.headers, JSON)


def problem_answer(failure: Failure) -> JsonResponse:
    """RFC 9457."""
    content: dict[str, object] = {
        "type": "about:blank",
        "title": _title(failure.status),
        "status": failure.status,
        "detail": failure.sentence,
    }
    if failure.problems:
        content["errors"] = [{"pointer": problem.path, "detail": problem.message} for problem in failure.problems]
    return JsonResponse(content, failure.status, failure.headers, PROBLEM)


def _summary(problems: Sequence[Problem]) -> str:
    first = f"{problems[0].path} {problems[0].message}".strip()
    more = len(problems) - 1
    return f"Invalid request: {first}" + (f" (and {more} more)" if more else "")


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
