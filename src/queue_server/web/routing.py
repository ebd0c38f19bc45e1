"""From the declarations of requests to the one application that takes each request where it belongs.

    router = Router([*Classic(…).endpoints, *Jobs(…).endpoints, *Pages(…).endpoints, …])
    await router(scope, receive, send)

A path without parameters is found by one dictionary look-up, all others by their patterns in the order of their
declaration. `protect` stands before each application. What has GET has HEAD too.
A path that is not there is an HTTPException 404, a method that a path does not take is a 405 with Allow: the caller
makes an answer of both.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from re import Pattern
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from queue_server.store.asking import asker
from queue_server.web.callers import caller_of
from queue_server.web.endpoint import Endpoint, Handler

Methods = Mapping[str, ASGIApp]
Protect = Callable[[Endpoint, ASGIApp], ASGIApp]
"""Puts what must be passed first before the application that answers a request."""


def unprotected(_endpoint: Endpoint, application: ASGIApp) -> ASGIApp:
    """The application as it is."""
    return application


class Router:
    """An ASGI application made of declarations. `endpoints` are those that it was made of."""

    def __init__(self, endpoints: Iterable[Endpoint], protect: Protect = unprotected) -> None:
        self.endpoints: Sequence[Endpoint] = tuple(endpoints)
        paths = _by_path(self.endpoints, protect)
        self._exact: Mapping[str, Methods] = {path: methods for path, methods in paths.items() if "{" not in path}
        self._patterns: Sequence[tuple[Pattern[str], Methods]] = [
            (compile_path(path)[0], methods) for path, methods in paths.items() if "{" in path
        ]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Have the request answered; HTTPException 404 or 405, at once, where nobody does."""
        methods = self._exact.get(scope["path"]) or self._match(scope)
        application = methods.get(scope["method"])
        if application is None:
            allowed = ", ".join(sorted(methods))
            raise HTTPException(405, f"{scope['path']} takes {allowed}", {"Allow": allowed})
        return application(scope, receive, send)

    def _match(self, scope: Scope) -> Methods:
        path: str = scope["path"]
        for pattern, methods in self._patterns:
            if match := pattern.match(path):
                scope["path_params"] = match.groupdict()
                return methods
        raise HTTPException(404, f"There is nothing at {path}")


def _by_path(endpoints: Iterable[Endpoint], protect: Protect) -> dict[str, dict[str, ASGIApp]]:
    paths: dict[str, dict[str, ASGIApp]] = {}
    for endpoint in endpoints:
        methods = paths.setdefault(endpoint.path, {})
        if endpoint.method in methods:
            raise ValueError(f"{endpoint.method} {endpoint.path} is declared twice")
        methods[endpoint.method] = protect(endpoint, _application_of(endpoint))
        if endpoint.method == "GET":
            methods["HEAD"] = protect(endpoint, _head_of(endpoint))
    return paths


def _application_of(endpoint: Endpoint) -> ASGIApp:
    """The ASGI application that answers it."""
    if endpoint.is_raw:
        return cast("ASGIApp", endpoint.handler)
    return _application(cast("Handler", endpoint.handler))


def _head_of(endpoint: Endpoint) -> ASGIApp:
    if endpoint.is_raw:
        return _head_of_raw(cast("ASGIApp", endpoint.handler))
    return _head(cast("Handler", endpoint.handler))


def _application(handler: Handler) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        asker.set(caller_of(scope))
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)

    return application


def _head(handler: Handler) -> ASGIApp:
    """The head of what GET answers; a body that would be streamed is never begun."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        asker.set(caller_of(scope))
        response = await handler(Request(scope, receive, send))
        await _send_head(send, {"status": response.status_code, "headers": response.raw_headers})

    return application


def _head_of_raw(application: ASGIApp) -> ASGIApp:
    """The same where only the messages tell what the answer is: the application is left once it has begun to answer."""

    async def head(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_first(message: Message) -> None:
            await _send_head(send, message)
            raise _HeadSent

        try:
            await application(scope, receive, send_first)
        except _HeadSent:
            return

    return head


async def _send_head(send: Send, head: Message) -> None:
    await send({**head, "type": "http.response.start"})
    await send({"type": "http.response.body", "body": b""})


class _HeadSent(Exception):
    """Leaves an application that would go on to a body."""
