"""From an answer of the server to a result, or to an error that a person understands."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

from queue_server.client.errors import REFUSALS, ForeignAnswer, Mistake, Problem, Refused
from queue_server.client.exchange import Answer, Request
from queue_server.client.results import Page, Result, decode

R = TypeVar("R", bound=Result)
T = TypeVar("T")
_NO_JSON = (msgspec.MsgspecError, UnicodeDecodeError)


def reads(kind: type[R]) -> Callable[[Answer], R]:
    """Reads an answer as this result."""
    return lambda answer: _decoded(answer, lambda body: decode(body, kind))


def reads_page(kind: type[R]) -> Callable[[Answer], Page[R]]:
    """Reads an answer as a page of a list of these."""
    return lambda answer: _decoded(answer, lambda body: _page(body, kind))


def no_content(_answer: Answer) -> None:
    """Reads an answer that says nothing but that it is done."""


def content(answer: Answer) -> bytes:
    """Reads an answer that is no JSON."""
    return answer.body


def checked(answer: Answer, request: Request) -> Answer:
    """The answer, or the ClientError that it reports."""
    status = answer.status
    if status < 300:
        return answer
    problem = _problem(answer.body)
    if problem is None:
        raise ForeignAnswer(_foreign(answer), status=status)
    retry_after = _seconds(answer.headers.get("retry-after"))
    message = _told(status, problem, retry_after)
    if status == 404 and request.subject:
        message = f"there is no {request.subject} on {answer.url} (never added, or deleted since)"
    raise REFUSALS.get(status, Refused)(message, status=status, problem=problem, retry_after=retry_after)


def _decoded(answer: Answer, read: Callable[[bytes], T]) -> T:
    try:
        return read(answer.body)
    except _NO_JSON:
        told = f"{answer.url} did not answer as a Queue Server does; is its address right?"
        raise ForeignAnswer(told, status=answer.status) from None


def _page(body: bytes, kind: type[R]) -> Page[R]:
    page = msgspec.json.decode(body, type=Page[Raw])
    return Page([decode(bytes(item), kind) for item in page.items], page.next_cursor)


def _problem(body: bytes) -> Problem | None:
    """The problem that the body describes; none if it is not one of a Queue Server."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except _NO_JSON:
        return None
    return problem if problem.title or problem.detail else None


def _told(status: int, problem: Problem, retry_after: float | None) -> str:
    """The problem in one sentence, or several mistakes one a line."""
    if len(problem.errors) > 1:
        return "\n".join([f"{len(problem.errors)} errors", *map(_line, problem.errors)])
    if problem.errors:
        return _line(problem.errors[0])
    told = problem.detail or problem.title
    if status == 401:
        return f"{told} (set QUEUE_SERVER_TOKEN)"
    return told if retry_after is None else f"{told} (try again in {retry_after:g} s)"


def _line(mistake: Mistake) -> str:
    return f"{mistake.pointer}: {mistake.detail}" if mistake.pointer else mistake.detail


def _foreign(answer: Answer) -> str:
    if 300 <= answer.status < 400 and (target := answer.headers.get("location")):
        return f"{answer.url} redirects to {target}; use that address if it is your Queue Server"
    return f"{answer.url} answered {answer.status}, and not as a Queue Server does; is its address right?"


def _seconds(text: str | None) -> float | None:
    """A Retry-After in seconds; one that is a date is ignored."""
    return float(text) if text and text.isascii() and text.isdecimal() else None
