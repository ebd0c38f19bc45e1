"""Messages that wait to be sent to the other nodes."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from queue_server.domain.errors import StoreError

OUTBOX_BYTES = 4 * 1024 * 1024
"""What waits to be sent at most; more is dropped: it comes faster than the database takes it."""

BATCH_BYTES = 1024 * 1024
BATCH_MESSAGES = 500
PAUSE_S = 0.05
"""Between batches. Others look every 0.2 s, so nobody hears it later for that, and a flood is few transactions."""


class Outbox:
    """Sends batches one after the other with `send`. What can't be sent is dropped: messages may be lost."""

    def __init__(self, send: Callable[[Sequence[bytes]], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def put(self, message: bytes) -> None:
        """Have a message of up to 1 MiB sent, unless too much waits."""
        if len(message) > BATCH_BYTES or self._bytes + len(message) > OUTBOX_BYTES:
            return
        self._waiting.append(message)
        self._bytes += len(message)
        self._filled.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._filled.wait()
            with contextlib.suppress(StoreError):  # the looks see the same
                await self._send(self._batch())
            await asyncio.sleep(PAUSE_S)

    def _batch(self) -> Sequence[bytes]:
        batch, size = list[bytes](), 0
        while self._waiting and len(batch) < BATCH_MESSAGES and size + len(self._waiting[0]) <= BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1])
        self._bytes -= size
        if not self._waiting:
            self._filled.clear()
        return batch
