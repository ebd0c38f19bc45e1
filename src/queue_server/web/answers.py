"""JSON answers: Starlette's for ordinary routes, raw ASGI messages where every microsecond counts."""

from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Send

JSON = "application/json"
PROBLEM = "application/problem+json"

encode = msgspec.json.Encoder().encode


class JsonResponse(Response):
    """An answer whose content msgspec encodes."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        """The body."""
        return encode(content)


async def send_json(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Answer with JSON bytes and nothing that costs time."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
