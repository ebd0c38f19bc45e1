"""Has what management requests did written to the audit log before their answer leaves."""

from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from queue_server.operations.audit import Audit
from queue_server.web.access.caller import access_of
from queue_server.web.presence import WHOLE

FACTS = "audit"
SKIPPED = "audit_skipped"


def note(request: Request, *, target: str = "", count: int | None = None, details: str = "") -> None:
    """Say more of what a request has done than its path does. The details must hold no secrets."""
    request.scope["state"][FACTS] = {"target": target or request.scope["path"], "count": count, "details": details}


def nothing_done(request: Request) -> None:
    """The request has only looked: a dry run."""
    request.scope["state"][SKIPPED] = True


def audited(audit: Audit, action: str, application: ASGIApp) -> ASGIApp:
    """The application, whose answer waits until the audit log holds what it did. Refusals did nothing."""

    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"].pop(WHOLE, None)

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                await _record(audit, action, scope)
            await send(message)

        await application(scope, receive, send_recorded)

    return recorded


async def _record(audit: Audit, action: str, scope: Scope) -> None:
    state = scope["state"]
    if state.get(SKIPPED):
        return
    facts: dict[str, Any] = state.get(FACTS, {"target": scope["path"]})
    address = (scope.get("client") or ("",))[0]
    await audit.record(access_of(scope), address, action, **facts)
