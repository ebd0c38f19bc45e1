"""JSON answers: Starlette's for ordinary routes, raw ASGI messages where every microsecond counts."""

from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Scope, Send

from queue_server.web.presence import WHOLE

JSON = "application/json"
PROBLEM = "application/problem+json"

encode = msgspec.json.Encoder().encode


class JsonResponse(Response):
    """An answer whose content msgspec encodes."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        """The body."""
        return encode(content)


async def send_json(scope: Scope, send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Answer with JSON bytes and nothing that costs time. The headers must be known to be valid."""
    whole = scope["state"].get(WHOLE)
    head = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers)
    if whole is None or not whole(status, head, body):
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})
