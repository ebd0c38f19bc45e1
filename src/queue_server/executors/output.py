"""Keeping the first and the last part of an output of any size in constant memory."""

from collections import deque


class OutputBuffer:
    """Takes an output piece by piece and keeps at most `limit` bytes of it: its first half and its last.

    `size` counts every byte fed. Between the two parts `value` puts a line that says how many bytes are missing.
    """

    def __init__(self, limit: int) -> None:
        self._head_room = (limit + 1) // 2
        self._tail_room = limit // 2
        self._head: list[bytes] = []
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.size = 0

    def feed(self, piece: bytes | memoryview) -> None:
        """Add the next piece."""
        self.size += len(piece)
        if self._head_room:
            first = bytes(piece[: self._head_room])
            self._head.append(first)
            self._head_room -= len(first)
            piece = piece[len(first) :]
        if len(piece):
            self._feed_tail(bytes(piece[-self._tail_room :]) if self._tail_room else b"")

    def value(self) -> bytes:
        """What was kept, with the mark where bytes were dropped."""
        head, tail = b"".join(self._head), b"".join(self._tail)
        tail = tail[len(tail) - min(len(tail), self._tail_room) :]
        dropped = self.size - len(head) - len(tail)
        mark = b"\n[... %d bytes dropped ...]\n" % dropped if dropped else b""
        return head + mark + tail

    def _feed_tail(self, piece: bytes) -> None:
        self._tail.append(piece)
        self._tail_size += len(piece)
        while self._tail and self._tail_size - len(self._tail[0]) >= self._tail_room:
            self._tail_size -= len(self._tail.popleft())
