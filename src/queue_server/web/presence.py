"""Noticing that a client has gone, for answers that take long.

A client that has closed its sending half looks like one that has gone, so it counts as gone too: an answer that is
waited for comes early then, and a stream ends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar, cast

from starlette.requests import Request
from starlette.types import Receive, Scope

T = TypeVar("T")

HUNG_UP = "hung_up"
"""Set in a request's state by the connection when the client has closed its sending half."""

CUT_OFF = "cut_off"
"""A function in a request's state that ends the connection at once, and drops what was not sent yet."""

WHOLE = "whole"
"""A function in a request's state that writes a whole answer; see `send_json`."""

BODY = "body"
"""A function in a request's state that takes its body, or None where not all of it has come; see `read_body`."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class WhilePresent:
    """A block that is left with ClientGone as soon as the client has gone. The request's body must have been read."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._is_over = False
        self._is_gone = False

    async def __aenter__(self) -> None:
        """Watch the client."""
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancels_before = self._task.cancelling()
        self._watch = asyncio.create_task(_hung_up(self._scope, self._receive))
        self._watch.add_done_callback(self._leave)

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """As asyncio.timeout does it: a cancellation of ours becomes our error, any other goes on."""
        self._is_over = True
        self._watch.cancel()
        is_ours = self._is_gone and self._task.uncancel() <= self._cancels_before
        if is_ours and kind is asyncio.CancelledError:
            raise ClientGone from None

    def _leave(self, watch: asyncio.Task[None]) -> None:
        if not (self._is_over or watch.cancelled()):
            self._is_gone = True
            self._task.cancel()


async def patiently(request: Request, look: Callable[[float], Awaitable[T]], seconds: float) -> T:
    """`look(seconds)`, which may take so long; `look(0)` as soon as the client has gone."""
    if seconds > 0:
        try:
            async with WhilePresent(request.scope, request.receive):
                return await look(seconds)
        except ClientGone:
            """It may have closed its sending half only."""
    return await look(0)


async def _hung_up(scope: Scope, receive: Receive) -> None:
    state = scope.get("state", {})
    while not state.get(HUNG_UP):
        if (await receive())["type"] == "http.disconnect":
            return
