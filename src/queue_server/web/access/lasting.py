"""Answers that take long, and that must end when their token does: streams, and answers that wait for a job."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from queue_server.web.presence import CUT_OFF

LOOK_EVERY_S = 5.0

StillMay = Callable[[Scope], bool]
"""Whether whoever asked may still ask."""


class LastingAnswers:
    """Those that are being given now."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Scope, StillMay]] = {}

    def noted(self, application: ASGIApp, still_may: StillMay) -> ASGIApp:
        """The application, whose answers are cut off once whoever asked may no longer."""

        async def lasting(scope: Scope, receive: Receive, send: Send) -> None:
            self._open[id(scope)] = (scope, still_may)
            try:
                await application(scope, receive, send)
            finally:
                del self._open[id(scope)]

        return lasting

    async def watch(self, every_s: float = LOOK_EVERY_S) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            self.look()

    def look(self) -> None:
        """Cut off the answers of those who may no longer ask."""
        for scope, still_may in tuple(self._open.values()):
            if not still_may(scope):
                scope["state"][CUT_OFF]()
