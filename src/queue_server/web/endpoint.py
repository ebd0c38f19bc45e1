"""What a request of the API is: how it is routed, and all that its documentation says of it.

The router and the OpenAPI document are both made from these declarations, so neither can know what the other doesn't.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from queue_server.domain.access import Right
from queue_server.web.answers import JSON

Handler = Callable[[Request], Awaitable[Response]]


class Content(msgspec.Struct, frozen=True):
    """A body: the type that describes it (None for plain bytes), its media type, and a sentence."""

    type: Any = None
    media_type: str = JSON
    description: str = ""


class Answer(msgspec.Struct, frozen=True):
    """An answer that is no error. `headers` are those beyond the ordinary ones, each with a sentence."""

    description: str
    content: Content | None = None
    headers: Mapping[str, str] = {}


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One method at one path.

    `path` is Starlette's (`/v1/jobs/{job_id}`). `scope` is the right that it takes, None if anybody may.
    `handler` is a coroutine function from a Request to a Response, or,
    where `is_raw`, an ASGI application. `query` is a struct whose members are the query parameters, `headers` names
    request headers with a sentence each. `errors` are the statuses of problem answers beyond those that any request can
    get. `operation_id` names it in clients that are made from the document; one is made of method and path where it is
    left out. `takes_tags` adds the query parameters `tag.NAME`.
    """

    method: str
    path: str
    scope: Right | None
    handler: Handler | ASGIApp
    summary: str
    answers: Mapping[int, Answer]
    tag: str
    description: str = ""
    query: type[msgspec.Struct] | None = None
    headers: Mapping[str, str] = {}
    body: tuple[Content, ...] = ()
    is_body_required: bool = True
    errors: tuple[int, ...] = ()
    is_raw: bool = False
    operation_id: str = ""
    takes_tags: bool = False
