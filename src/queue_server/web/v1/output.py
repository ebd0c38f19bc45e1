"""/v1/jobs/{id}/output: what an attempt printed, or what its target answered, as bytes; also while it runs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from queue_server.domain.access import Right
from queue_server.executors.live import Stream
from queue_server.operations.output import Excerpt, Missing, ReadOutput
from queue_server.web.access.caller import access_of
from queue_server.web.byte_range import requested_range
from queue_server.web.classic import job_id_of
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.parameters import read_query, single_parameters
from queue_server.web.presence import CUT_OFF, ClientGone, WhilePresent

BYTES = "application/octet-stream"
AS_IT_IS = {"X-Content-Type-Options": "nosniff"}
"""An output may be anything, also HTML: no browser may take it for more than bytes."""

AT_ONCE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Proxies must pass on each piece as it comes."""

LAST_PIECES_S = 1.0
"""How long a client may take for the last pieces when the server stops."""

Number = Annotated[int, Meta(ge=1, le=2**31, extra={"expected": "a whole number, at least 1"})]


class OutputQuery(msgspec.Struct, frozen=True):
    """Which output: `output` is stdout or the response's body, `head` the response's status line and headers."""

    stream: Literal["output", "stderr", "head"] = "output"
    attempt: Number | None = None
    follow: bool = False


DESCRIPTION = """\
While the attempt runs this is what there is so far. Where an output is longer than the setting `output_limit` its first
and last part are kept, and a line between them says how many bytes were dropped.

With `follow=1` the output is sent as it comes, and the answer ends with the attempt. Without `attempt` it is that of
the attempt that runs, else of the one that a waiting job starts next, else of the last one of a job that has ended. A
reader that keeps up gets every byte, however many there are.
"""
RECEIVED = {"X-Queue-Output-Size": "How many bytes were received in full, kept or not. Not with `follow`."}
VERSION = {"ETag": "Set once the attempt has ended: then its output stays as it is."}
ANSWERS = {
    200: Answer("The output, or what there is of it so far.", Content(None, BYTES), RECEIVED | VERSION),
    206: Answer(
        "The part that was asked for.",
        Content(None, BYTES),
        RECEIVED | VERSION | {"Content-Range": "Which part it is, and of how many bytes that are kept."},
    ),
    304: Answer("The output is still the one of If-None-Match.", headers=VERSION),
}


class Outputs:
    """Reading outputs."""

    def __init__(self, output: ReadOutput) -> None:
        self._output = output

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="GET",
                path="/v1/jobs/{job_id}/output",
                scope=Right.READ_OUTPUT,
                handler=self.get,
                summary="Read or follow an output",
                description=DESCRIPTION,
                tag="jobs",
                query=OutputQuery,
                headers={
                    "Range": "A part of the body, such as bytes=0-499 or bytes=-500. Not together with follow.",
                    "If-Range": "An ETag: the Range counts only while the output is still that one.",
                    "If-None-Match": "An ETag: 304 while the output is still that one.",
                },
                answers=ANSWERS,
                errors=(404, 416),
            ),
        )

    async def get(self, request: Request) -> Response:
        """An output, or what there is of it so far; with `follow` all of it as it comes."""
        query = read_query(single_parameters(request), OutputQuery)
        job_id, stream = job_id_of(request), Stream(query.stream)
        read = self._output.follow if query.follow else self._output.read
        match await read(job_id, access_of(request.scope), stream, query.attempt):
            case Missing(why):
                raise HTTPException(404, why)
            case Excerpt() as excerpt:
                return _answer(excerpt, request)
            case pieces:
                return FollowedResponse(pieces, self._output.wait_closed)


class FollowedResponse(Response):
    """Sends each piece as it comes. Ends with the pieces, or when the client goes away.

    A client that does not take what it is sent must not hold up the server's stop: it is cut off LAST_PIECES_S after
    `wait_closed` has returned.
    """

    media_type = BYTES

    def __init__(self, pieces: AsyncGenerator[bytes], wait_closed: Callable[[], Awaitable[None]]) -> None:
        super().__init__(headers=AS_IT_IS | AT_ONCE)
        del self.headers["content-length"]
        self._pieces = pieces
        self._wait_closed = wait_closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        async with aclosing(self._pieces):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                with suppress(ClientGone):
                    await self._send_pieces(scope, receive, send)
            await send({"type": "http.response.body", "body": b""})

    async def _send_pieces(self, scope: Scope, receive: Receive, send: Send) -> None:
        end = asyncio.create_task(self._cut_off_in_the_end(scope))
        try:
            async with WhilePresent(scope, receive):
                async for piece in self._pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            end.cancel()

    async def _cut_off_in_the_end(self, scope: Scope) -> None:
        await self._wait_closed()
        await asyncio.sleep(LAST_PIECES_S)
        scope.get("state", {}).get(CUT_OFF, lambda: None)()


def _answer(excerpt: Excerpt, request: Request) -> Response:
    body, tag = excerpt.body, f'"{excerpt.version}"' if excerpt.version else None
    headers = AS_IT_IS | {"Accept-Ranges": "bytes", "X-Queue-Output-Size": str(excerpt.received)}
    headers |= {"ETag": tag} if tag else {"Cache-Control": "no-store"}
    if tag and _names(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    part = _part(request, tag, len(body))
    if part is None:
        return Response(body, headers=headers, media_type=BYTES)
    if not part:
        raise HTTPException(416, f"the output has {len(body)} bytes", {"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(body)}"
    return Response(body[part.start : part.stop], 206, headers=headers, media_type=BYTES)


def _part(request: Request, tag: str | None, size: int) -> range | None:
    """The part that is asked for, None for all: a Range counts in a GET, and as long as its If-Range holds."""
    if request.method != "GET" or request.headers.get("if-range", tag) != tag:
        return None
    return requested_range(request.headers.get("range"), size)


def _names(condition: str, tag: str) -> bool:
    """Whether an If-None-Match (RFC 9110 section 13.1.2) names this tag."""
    return condition.strip() == "*" or tag in (name.strip().removeprefix("W/") for name in condition.split(","))
