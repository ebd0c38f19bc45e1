"""What came back, kept in constant memory."""

import asyncio
import sys
from time import monotonic_ns

from queue_server.domain.outcome import Output, Timings
from queue_server.executors.live import FOLLOWED_BYTES, PIECE_BYTES, LiveOutput, Stream, wake
from queue_server.executors.output import OutputBuffer

HEAD_LIMIT = 256 * 1024
"""Bytes of a response's head; a target that sends more is not worth waiting for."""


class Response(LiveOutput):
    """A response as far as it has come, and when its parts did.

    `head` is empty until it is complete; `size` counts bytes of the body. `started` is when this object was made,
    `connected` when there was a connection (the same for one that was kept) and `begun` when the first byte came, in
    nanoseconds of the monotonic clock; 0 is never. Of the body `output_limit` bytes are kept; more than `most` are not
    read.
    """

    __slots__ = ("_buffer", "_limit", "_text", "begun", "connected", "head", "most", "started", "status")

    def __init__(self, output_limit: int, most: int = sys.maxsize) -> None:
        super().__init__()
        self.most = most
        self._limit = output_limit
        self._text = b""
        self._buffer: OutputBuffer | None = None
        self.status = 0
        self.head = b""
        self.connected = 0
        self.begun = 0
        self.started = monotonic_ns()

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
        connected, begun, started = self.connected, self.begun, self.started
        return Timings(
            (connected - started) // 1000 if connected else None,
            (begun - started) // 1000 if begun else None,
        )

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
        if self._buffer is None:
            return Output(self._text, b"", self.head, len(self._text))
        return Output(self._buffer.value(), b"", self.head, self._buffer.size)

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
