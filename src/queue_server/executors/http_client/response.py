"""What came back, kept in constant memory."""

import asyncio
import time
from collections.abc import Callable

from queue_server.domain.outcome import Output, Timings
from queue_server.executors.live import FOLLOWED_BYTES, PIECE_BYTES, LiveOutput, Stream, wake
from queue_server.executors.output import OutputBuffer

HEAD_LIMIT = 256 * 1024
"""Bytes of a response's head; a target that sends more is not worth waiting for."""

MICROSECONDS = 1_000_000


class Response(LiveOutput):
    """A response as far as it has come, and when its parts did, counted in seconds from the making of this object.

    `head` is empty until it is complete; `size` counts bytes of the body. `connect_s` is when there was a connection, 0
    for one that was kept; `begun_at` is the time by `monotonic` when the first byte came.
    """

    __slots__ = ("_buffer", "_limit", "_started", "_text", "begun_at", "connect_s", "head", "monotonic", "status")

    def __init__(self, output_limit: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._limit = output_limit
        self.monotonic = monotonic
        self._started = monotonic()
        self._text = b""
        self._buffer: OutputBuffer | None = None
        self.status = 0
        self.head = b""
        self.connect_s: float | None = None
        self.begun_at: float | None = None

    @property
    def size(self) -> int:
        """Bytes of the body so far."""
        return self._buffer.size if self._buffer else len(self._text)

    @property
    def text(self) -> bytes:
        """The body as far as it is kept."""
        return self._buffer.value() if self._buffer else self._text

    @property
    def timings(self) -> Timings:
        """When its parts came."""
        return Timings(
            None if self.connect_s is None else int(self.connect_s * MICROSECONDS),
            None if self.begun_at is None else int((self.begun_at - self._started) * MICROSECONDS),
        )

    def elapsed(self) -> float:
        """Seconds since its making."""
        return self.monotonic() - self._started

    def take_head(self, status: int, head: bytes) -> None:
        """Keep the head."""
        self.status = status
        self.head = head
        if self.more is not None:
            wake(self.more)

    def take(self, piece: bytes) -> None:
        """Keep a piece of the body. Most bodies have one piece, which then needs no buffer."""
        if self._buffer is not None:
            self._buffer.feed(piece)
            if self.more is not None:
                wake(self.more)
        elif not self._text and len(piece) <= self._limit:
            self._text = piece
        else:
            self._use_buffer().feed(piece)

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        wanted = name.lower().encode()
        for line in self.head.split(b"\n")[1:]:
            key, colon, value = line.partition(b":")
            if colon and key.strip().lower() == wanted:
                return value.strip().decode("latin-1")
        return None

    def snapshot(self) -> Output:
        """See LiveOutput."""
        return Output(self.text, b"", self.head, self.size)

    def read(self, stream: Stream, offset: int) -> tuple[bytes, int]:
        """See LiveOutput."""
        match stream:
            case Stream.OUTPUT:
                return self._use_buffer().read(offset, PIECE_BYTES)
            case Stream.HEAD:
                piece = self.head[offset : offset + PIECE_BYTES]
                return piece, offset + len(piece)
            case Stream.STDERR:
                return b"", offset

    def watch(self, more: asyncio.Event | None) -> None:
        """See LiveOutput. Followers read from a buffer."""
        self._use_buffer().keep_last(FOLLOWED_BYTES if more else 0)

    def _use_buffer(self) -> OutputBuffer:
        if self._buffer is None:
            self._buffer = OutputBuffer(self._limit)
            self._buffer.feed(self._text)
        return self._buffer
