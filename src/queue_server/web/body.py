"""Reading a request's body: within a size and a time."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from queue_server.web.presence import BODY

TIME_LIMIT_S = 30.0
"""A client that sends its body slower than this is told so (408); it must not hold memory for ever."""

DRAIN_FACTOR = 64
"""How many times the limit is read and thrown away after a body was too large, so that the client sees the answer."""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; HTTPException 413 when it is larger than `limit` bytes, 408 when it comes too slowly."""
    take = scope["state"].get(BODY)
    if take is not None and (whole := take()) is not None:
        if len(whole) > limit:
            raise too_large(limit)
        return whole
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                return await _read_on(scope, receive, limit, body)
        except TimeoutError:
            raise HTTPException(408, f"the body did not arrive within {TIME_LIMIT_S:.0f} s") from None
    if len(body) > limit:
        raise too_large(limit)
    return body


def too_large(limit: int) -> HTTPException:
    """The error for a body larger than the limit."""
    return HTTPException(413, f"the body is larger than {limit} bytes (setting max_body)")


async def _read_on(scope: Scope, receive: Receive, limit: int, first: bytes) -> bytes:
    pieces, size = [first], len(first)
    if _announced(scope) > limit * DRAIN_FACTOR:
        raise too_large(limit)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400, "the client went away before the body was complete")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size <= limit:
            pieces.append(piece)
        else:
            pieces.clear()
        if not message.get("more_body") or size > limit * DRAIN_FACTOR:
            break
    if size > limit:
        raise too_large(limit)
    return b"".join(pieces)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
