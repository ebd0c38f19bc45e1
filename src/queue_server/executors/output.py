"""Keeping the first and the last part of an output of any size in constant memory."""


class OutputBuffer:
    """Takes an output piece by piece and keeps at most `limit` bytes of it: its first half and its last.

    `size` counts every byte fed. Between the two parts `value` puts a line that says how many bytes are
    missing. However small the pieces are, the buffer itself holds at most one and a half times `limit`.
    """

    def __init__(self, limit: int) -> None:
        self._head_room = (limit + 1) // 2
        self._tail_room = limit // 2
        self._kept_last = self._tail_room
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
        if self._kept_last and len(piece):
            self._feed_tail(piece)

    def value(self) -> bytes:
        """What was kept, with the mark where bytes were dropped."""
        tail = self._tail[max(0, len(self._tail) - self._tail_room) :]
        dropped = self.size - len(self._head) - len(tail)
        return b"%b%b%b" % (self._head, mark(dropped), tail)

    def keep_last(self, size: int) -> None:
        """From now on keep at least so many of the last bytes for `read`, which then takes up to twice that memory."""
        self._kept_last = max(self._tail_room, size)
        if len(self._tail) > 2 * self._kept_last:
            del self._tail[: -self._kept_last or None]

    def read(self, offset: int, limit: int) -> tuple[bytes, int]:
        """Up to `limit` bytes from byte `offset` of all that was fed, and the offset of the next.

        Where the bytes are not kept any more it is the mark, and the offset of the next that are. Nothing at the end.
        """
        if offset < len(self._head):
            piece = bytes(self._head[offset : offset + limit])
            return piece, offset + len(piece)
        tail_offset = self.size - len(self._tail)
        if offset < tail_offset:
            return mark(tail_offset - offset), tail_offset
        begin = offset - tail_offset
        piece = bytes(self._tail[begin : begin + limit])
        return piece, offset + len(piece)

    def _feed_tail(self, piece: bytes | memoryview) -> None:
        """The tail grows to twice its room before it is cut, so that its bytes are moved only once."""
        if len(piece) > self._kept_last:
            self._tail.clear()
            piece = piece[-self._kept_last :]
        elif len(self._tail) + len(piece) > 2 * self._kept_last:
            del self._tail[: len(self._tail) + len(piece) - self._kept_last]
        self._tail += piece


def mark(dropped: int) -> bytes:
    """The line that stands for so many bytes; nothing for none."""
    return b"\n[... %d bytes dropped ...]\n" % dropped if dropped else b""
