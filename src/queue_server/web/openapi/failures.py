"""The answers that tell of an error: problem details under /v1, the first API's own shape elsewhere."""

from collections.abc import Mapping

import msgspec

from queue_server.web.answers import JSON, PROBLEM
from queue_server.web.endpoint import Endpoint
from queue_server.web.openapi.names import is_of_v1
from queue_server.web.openapi.schemas import Schema, reference
from queue_server.web.v1.views import ProblemView

ALWAYS = (400, 503)
WITH_BODY = (408, 413)
WITH_SCOPE = (401, 403, 429)
CAUSES: Mapping[int, tuple[str, str]] = {
    400: ("Bad Request", "The request is not valid; every error is listed."),
    401: ("Unauthorized", "The server asks for a token, and the request has none or a wrong one."),
    403: ("Forbidden", "A setting of the server forbids it, or the token does not have the scope."),
    404: ("Not Found", "There is no such thing."),
    408: ("Request Timeout", "The body came too slowly."),
    409: ("Conflict", "It is not in a state for this."),
    410: ("Gone", "The job of this idempotency key has been deleted."),
    413: ("Content Too Large", "The body is too large."),
    416: ("Range Not Satisfiable", "The range is outside the output."),
    422: ("Unprocessable Content", "The idempotency key belongs to another request."),
    429: ("Too Many Requests", "Too many wrong tokens came from this address."),
    503: ("Service Unavailable", "Not now: the server is stopping, full, or can't write. Try again later."),
}
"""By status: its words (RFC 9110 section 15), and what it means here."""

HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "How to send a token."},
    416: {"Content-Range": "How many bytes there are: `bytes */SIZE`."},
    429: {"Retry-After": "Seconds after which to try again."},
    503: {"Retry-After": "Seconds after which to try again."},
}


class ClassicErrorItem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a job."""

    path: str
    message: str


class ClassicError(msgspec.Struct, frozen=True):
    """Why the first API could not do what was asked."""

    status: int
    data: str
    errors: list[ClassicErrorItem] = []


TYPES = (ProblemView, ClassicError)


def failures_of(endpoint: Endpoint) -> Schema:
    """The answers to a request that could not be fulfilled, by their status, as references."""
    statuses = {
        *ALWAYS,
        *(WITH_BODY if endpoint.body else ()),
        *(WITH_SCOPE if endpoint.scope else ()),
        *endpoint.errors,
    } - {*endpoint.answers}
    return {str(status): {"$ref": f"#/components/responses/{_name(status, endpoint)}"} for status in sorted(statuses)}


def failure_components() -> Schema:
    """The answers that the references mean."""
    components: Schema = {}
    for status, (title, cause) in CAUSES.items():
        headers = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.get(status, {}).items()
        }
        for prefix, media_type, schema in (("Problem", PROBLEM, "Problem"), ("Classic", JSON, "ClassicError")):
            content: Schema = {"schema": reference(schema), "example": _example(prefix, status, title, cause)}
            response: Schema = {"description": cause, "content": {media_type: content}}
            components[f"{prefix}{status}"] = response | ({"headers": headers} if headers else {})
    return components


def _example(prefix: str, status: int, title: str, cause: str) -> Schema:
    if prefix == "Classic":
        return {"status": status, "data": cause}
    return {"type": "about:blank", "title": title, "status": status, "detail": cause}


def _name(status: int, endpoint: Endpoint) -> str:
    return f"{'Problem' if is_of_v1(endpoint.path) else 'Classic'}{status}"
