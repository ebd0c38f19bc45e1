"""Keeping the first and the last part of an output of any size in constant memory."""


class OutputBuffer:
    """Takes an output piece by piece and keeps at most `limit` bytes of it: its first half and its last.

    `size` counts every byte fed. Between the two parts `value` puts a line that says how many bytes are
    missing. However small the pieces are, the buffer itself holds at most one and a half times `limit`.
    """

    def __init__(self, limit: int) -> None:
        self._head_room = (limit + 1) // 2
        self._tail_room = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.size = 0

    def feed(self, piece: bytes | memoryview) -> None:
        """Add the next piece. It is copied, so its memory may be used again."""
        self.size += len(piece)
        missing = self._head_room - len(self._head)
        if missing > 0:
            self._head += piece[:missing]
            piece = piece[missing:]
        if self._tail_room and len(piece):
            self._feed_tail(piece[-self._tail_room :])

    def value(self) -> bytes:
        """What was kept, with the mark where bytes were dropped."""
        tail = self._tail[-self._tail_room :]
        dropped = self.size - len(self._head) - len(tail)
        mark = b"\n[... %d bytes dropped ...]\n" % dropped if dropped else b""
        return b"%b%b%b" % (self._head, mark, tail)

    def _feed_tail(self, piece: bytes | memoryview) -> None:
        """The tail grows to twice its room before it is cut, so that its bytes are moved only once."""
        if len(self._tail) + len(piece) > 2 * self._tail_room:
            del self._tail[: len(self._tail) + len(piece) - self._tail_room]
        self._tail += piece
