"""Answers that a client does not take: they hold memory, so they don't do so for ever."""

import asyncio

STALLED_S = 30.0
"""A client that takes nothing of its answer for so long is cut off."""


class Unsent:
    """Watches what a connection has still to send."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Cut the client off unless it goes on taking. Called when the buffer is full, or nothing more will come."""
        self._size = self._transport.get_write_buffer_size()
        if self._size and self._timer is None:
            self._timer = self._loop.call_later(STALLED_S, self._look)

    def forget(self) -> None:
        """Enough has been taken, or the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._transport.get_write_buffer_size() >= self._size:
            self._transport.abort()
        else:
            self.watch()
