"""What came back, kept in constant memory."""

from queue_server.executors.output import OutputBuffer

HEAD_LIMIT = 256 * 1024
"""Bytes of a response's head; a target that sends more is not worth waiting for."""


class Response:
    """A response as far as it has come. `head` is empty until it is complete; `size` counts bytes of the body."""

    def __init__(self, output_limit: int) -> None:
        self._limit = output_limit
        self._text = b""
        self._buffer: OutputBuffer | None = None
        self.status = 0
        self.head = b""
        self.is_begun = False

    @property
    def size(self) -> int:
        """Bytes of the body so far."""
        return self._buffer.size if self._buffer else len(self._text)

    @property
    def text(self) -> bytes:
        """The body as far as it is kept."""
        return self._buffer.value() if self._buffer else self._text

    def take(self, piece: bytes) -> None:
        """Keep a piece of the body. Most bodies have one piece, which then needs no buffer."""
        if self._buffer is not None:
            self._buffer.feed(piece)
        elif not self._text and len(piece) <= self._limit:
            self._text = piece
        else:
            self._buffer = OutputBuffer(self._limit)
            self._buffer.feed(self._text)
            self._buffer.feed(piece)

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        wanted = name.lower().encode()
        for line in self.head.split(b"\n")[1:]:
            key, colon, value = line.partition(b":")
            if colon and key.strip().lower() == wanted:
                return value.strip().decode("latin-1")
        return None
