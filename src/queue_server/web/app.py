"""Which request goes where.

The two endpoints that take jobs are raw ASGI applications and found by one dictionary look-up (measured 2026-11:
Starlette's Request and Response cost a quarter of the accepts); all others are Starlette routes.
"""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from queue_server.operations.add import AddJob
from queue_server.operations.look import Look
from queue_server.telemetry.logs import Log
from queue_server.web.classic import AddEndpoint, Classic
from queue_server.web.errors import answer, failure_of
from queue_server.web.service import Service
from queue_server.web.v1.jobs import CreateEndpoint, Jobs

ALLOWED = {"/jobs/add": ("POST",), "/v1/jobs": ("GET", "HEAD", "POST")}
"""The methods of the paths that take jobs; the router knows those of the others."""


class App:
    """The ASGI application. Every error becomes an answer; only one that nobody expected is a 500, and is logged."""

    def __init__(self, add: AddJob, look: Look, max_body: int, log: Log) -> None:
        self._log = log
        self._posts: Mapping[str, ASGIApp] = {
            "/jobs/add": AddEndpoint(add, max_body),
            "/v1/jobs": CreateEndpoint(add, max_body),
        }
        routes = [*Classic(look).routes, *Jobs(look).routes, *Service(add).routes]
        self._router = Router(routes, redirect_slashes=False, default=_no_such_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        endpoint = self._posts.get(scope["path"]) if scope["method"] == "POST" else None
        try:
            await (endpoint or self._other)(scope, receive, send)
        except Exception as error:  # noqa: BLE001 (the last resort: nothing may leave without an answer)
            failure = failure_of(error)
            if failure.status == 500:
                self._log.exception("a request failed; this is a bug, please report it", path=scope["path"])
            await answer(failure, scope["path"])(scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = ALLOWED.get(scope["path"])
        if allowed and scope["method"] not in allowed:
            raise HTTPException(405, f"{scope['path']} takes {', '.join(allowed)}", {"Allow": ", ".join(allowed)})
        scope["app"] = self
        await self._router(scope, receive, send)


async def _no_such_path(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise HTTPException(404, f"There is nothing at {scope['path']}")
