"""How jobs stand in the body of a batch: as the elements of a JSON array, or one a line (NDJSON).

Each form knows two ways on. `guess` is quick and may be wrong: it names a place where a number of whole jobs seems to
end, and `decode` takes the text before it only if it is whole jobs and nothing else. `next_element` is exact, and slow.
"""

import re
from enum import Enum
from typing import Protocol

import msgspec

from queue_server.domain.elements import ElementScanner
from queue_server.domain.job import JobRequest

BLANKS = b" \t\r\n"
SEAM_LIMIT = 256
"""Bytes of blanks and a comma between two jobs that a guess looks through."""

_LEAD = re.compile(rb'\{[ \t\r\n]*"[^"\\]{0,255}"')
_SPACE = re.compile(rb"[ \t\r\n]*")
_CLOSING = b"]"[0]

_decode_job = msgspec.json.Decoder(JobRequest).decode
_decode_jobs = msgspec.json.Decoder(list[JobRequest]).decode


class BrokenForm(Exception):
    """Where the next job begins can't be told any more; the message completes a sentence about the batch."""


class Block(msgspec.Struct, frozen=True):
    """The end of what seems to be whole jobs, and where the next one begins. With `is_last` none follows."""

    end: int
    next: int
    is_last: bool = False


class Element(msgspec.Struct, frozen=True):
    """The text of one job, empty where there is none after all, and the number of its line in NDJSON."""

    text: bytes
    next: int
    line: int | None = None


class Pending(Enum):
    """Why there is no next element: it is being looked for step by step, or nothing is left to look at."""

    SEARCHING = "searching"
    WAITING = "waiting"


class Form(Protocol):
    """See the module. `at` is where the next job begins in the data; `is_all` says that nothing will follow the data.

    It `is_over` when no job can follow.
    """

    is_over: bool

    def guess(self, data: bytearray, at: int, *, is_all: bool) -> Block | None:
        """Where a number of whole jobs could end; None where there is no telling."""
        ...

    def decode(self, text: bytes) -> list[JobRequest]:
        """The jobs of a block; an error of the decoder if it is not that, or one of its jobs is bad."""
        ...

    def accept(self, block: Block, count: int) -> int | None:
        """The guess was right, and the block has so many jobs. The line of the first one in NDJSON."""
        ...

    def next_element(self, data: bytearray, at: int, *, is_all: bool) -> Element | Pending:
        """The next job. BrokenForm if there is none where there should be one."""
        ...


class ArrayForm:
    """See Form. The jobs of a program begin with the same member: with what stands behind the end of the one before."""

    def __init__(self, block_limit: int) -> None:
        self._block_limit = block_limit
        self._scanner = ElementScanner()
        self._lead = b""
        self._is_empty = True
        self.is_over = False

    def guess(self, data: bytearray, at: int, *, is_all: bool) -> Block | None:
        """See Form."""
        if is_all and len(data) - at <= self._block_limit:
            return _up_to_bracket(data, at)
        if not self._lead:
            lead = _LEAD.match(data, _after_blanks(data, at))
            self._lead = lead[0] if lead else b""
        if not self._lead:
            return None
        follower = data.rfind(self._lead, at + 1, at + self._block_limit)
        if follower < 0:
            follower = data.find(self._lead, at + self._block_limit)
        return None if follower < 0 else _up_to_comma(data, at, follower)

    def decode(self, text: bytes) -> list[JobRequest]:
        """See Form. Brackets around a part of an array make an array of it only if it is whole elements."""
        return _decode_jobs(b"[%b]" % text)

    def accept(self, block: Block, count: int) -> None:  # noqa: ARG002
        """See Form."""
        self._is_empty = False
        self.is_over = block.is_last

    def next_element(self, data: bytearray, at: int, *, is_all: bool) -> Element | Pending:
        """See Form."""
        end = self._scanner.end_of(data, at)
        if end is None:
            if is_all and self._scanner.is_waiting:
                raise BrokenForm("ends too early: the closing ] is missing")
            return Pending.WAITING if self._scanner.is_waiting else Pending.SEARCHING
        text = bytes(data[at:end]).strip(BLANKS)
        self.is_over = data[end] == _CLOSING
        if not text and not (self.is_over and self._is_empty):
            raise BrokenForm("has a comma too many: there is no job beside it")
        self._is_empty = False
        return Element(text, end + 1)


class LinesForm:
    """See Form. Blank lines are no jobs, but count as lines."""

    def __init__(self, block_limit: int, line: int) -> None:
        self._block_limit = block_limit
        self._line = line
        self.is_over = False

    def guess(self, data: bytearray, at: int, *, is_all: bool) -> Block | None:
        """See Form."""
        end = data.rfind(b"\n", at, at + self._block_limit)
        if end < 0:
            end = data.find(b"\n", at + self._block_limit)
        if end < 0:
            return Block(len(data), len(data), is_last=True) if is_all and at < len(data) else None
        return Block(end, end + 1)

    def decode(self, text: bytes) -> list[JobRequest]:
        """See Form."""
        return [_decode_job(line) for line in text.split(b"\n")]

    def accept(self, block: Block, count: int) -> int:
        """See Form."""
        line, self._line = self._line, self._line + count
        self.is_over = block.is_last
        return line

    def next_element(self, data: bytearray, at: int, *, is_all: bool) -> Element | Pending:
        """See Form."""
        start = _after_blanks(data, at)
        end = data.find(b"\n", start)
        if end < 0 and not is_all:
            return Pending.WAITING
        if end < 0:
            end, self.is_over = len(data), True
        line = self._line + data.count(b"\n", at, start)
        self._line = line + 1
        return Element(bytes(data[start:end]).strip(BLANKS), end + 1, line)


def _up_to_bracket(data: bytearray, at: int) -> Block | None:
    """All that is left, if it is something and ends with the array."""
    text = bytes(data[at:]).rstrip(BLANKS)
    is_something = text.endswith(b"]") and text[:-1].strip(BLANKS)
    return Block(at + len(text) - 1, len(data), is_last=True) if is_something else None


def _up_to_comma(data: bytearray, at: int, follower: int) -> Block | None:
    """What stands before a job that seems to follow, if there is an end of another one and a comma."""
    start = max(at, follower - SEAM_LIMIT)
    text = bytes(data[start:follower]).rstrip(BLANKS)
    if not text.endswith(b","):
        return None
    text = text[:-1].rstrip(BLANKS)
    return Block(start + len(text), follower) if text.endswith(b"}") else None


def _after_blanks(data: bytearray, at: int) -> int:
    match = _SPACE.match(data, at)
    return match.end() if match else at
