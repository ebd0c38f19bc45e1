"""Where a request's rights are found, once they are known."""

from starlette.types import Scope

from queue_server.domain.access import EVERYBODY, Access

ACCESS = "access"
"""The `Access` of who asks, in a request's state."""

SEND = "send"
"""How errors that come from the application are answered, where that is not ASGI's own `send`."""


def access_of(scope: Scope) -> Access:
    """Who asks; everybody where nothing says who."""
    return scope["state"].get(ACCESS, EVERYBODY)
