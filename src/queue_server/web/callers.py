"""Whom a request counts for where callers share something: its token, or else its address."""

from starlette.types import Scope

from queue_server.domain.access import EVERYBODY
from queue_server.web.access.caller import access_of
from queue_server.web.gate import network_of


def caller_of(scope: Scope) -> str:
    """A name that the requests of one caller have in common."""
    access = access_of(scope)
    if access is not EVERYBODY:
        return f"token {access.name}"
    client = scope.get("client")
    return "" if client is None else network_of(client[0]) or client[0]
