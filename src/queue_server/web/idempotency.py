"""The header Idempotency-Key of a request."""

import msgspec
from starlette.types import Scope

from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.job import ShortText

KEY_HEADER = b"idempotency-key"
REPLAYED = (b"idempotent-replayed", b"true")
"""The header of an answer that tells of what had been there before."""


def key_of(scope: Scope) -> str | None:
    """The request's idempotency key, None if it has none; InvalidJob if it can't be one."""
    for name, _ in scope["headers"]:  # on the hot path: few requests have one
        if name == KEY_HEADER:
            return _key_in(scope)
    return None


def _key_in(scope: Scope) -> str:
    given: set[bytes] = {value for name, value in scope["headers"] if name == KEY_HEADER}
    if len(given) > 1:
        raise InvalidJob([Problem("", "has more than one header Idempotency-Key; send one")])
    try:
        return msgspec.convert(given.pop().decode(), ShortText)
    except (UnicodeDecodeError, msgspec.ValidationError):
        message = "the header Idempotency-Key must be a text of 1 to 255 characters without control characters"
        raise InvalidJob([Problem("", message)]) from None
