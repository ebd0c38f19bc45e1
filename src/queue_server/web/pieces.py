"""A large body, piece by piece, within a size and at a pace."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

GRACE_S = 30.0
SLOWEST_PER_S = 128 * 1024
"""Bytes a second, about a megabit, that a body must come at on the whole once the grace is over."""

DRAIN_FACTOR = 4
"""How many times its limit a body may have to be read to its end after it was refused, so that the client sees why."""


class Pieces:
    """The body of one request. It `is_complete` once its last piece has been taken."""

    def __init__(self, scope: Scope, receive: Receive, limit: int, setting: str) -> None:
        self._receive = receive
        self._limit = limit
        self._setting = setting
        self._announced = _announced(scope)
        self._size = 0
        self._begin_s = asyncio.get_running_loop().time()
        self._is_lost = False
        self.is_complete = False

    async def next(self) -> bytes:
        """The next piece.

        HTTPException 413 when the body is larger than the limit or says so, 408 when it comes too slowly, 400 when the
        client goes away.
        """
        if self._announced > self._limit:
            raise self._too_large()
        piece = await self._next()
        if self._size > self._limit:
            raise self._too_large()
        return piece

    async def drain(self) -> None:
        """Read what is left and forget it; gives up where that takes too long or is too much."""
        most = self._limit * DRAIN_FACTOR
        try:
            while not (self.is_complete or self._is_lost or max(self._size, self._announced) > most):
                await self._next()
        except HTTPException:
            return

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._begin_s + GRACE_S + self._size / SLOWEST_PER_S):
                message = await self._receive()
        except TimeoutError:
            self._is_lost = True
            raise HTTPException(408, f"the body came too slowly: {self._size} bytes of it have arrived") from None
        if message["type"] == "http.disconnect":
            self._is_lost = True
            raise HTTPException(400, "the client went away before the body was complete")
        piece: bytes = message.get("body", b"")
        self._size += len(piece)
        self.is_complete = not message.get("more_body", False)
        return piece

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body is larger than {self._limit} bytes (setting {self._setting})")


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
