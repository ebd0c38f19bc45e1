import re
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from queue_server.executors.output import OutputBuffer

MARK = re.compile(rb"\n\[\.\.\. (\d+) bytes dropped \.\.\.\]\n")


def fed(limit: int, *pieces: bytes) -> OutputBuffer:
    buffer = OutputBuffer(limit)
    for piece in pieces:
        buffer.feed(piece)
    return buffer


@given(st.integers(0, 40), st.lists(st.binary(max_size=30), max_size=30))
def test_output_keeps_first_and_last_half_whatever_the_pieces(limit: int, pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    buffer = fed(limit, *pieces)
    head, tail = (limit + 1) // 2, limit // 2
    dropped = len(whole) - limit
    cut = whole[:head] + b"\n[... %d bytes dropped ...]\n" % dropped + whole[len(whole) - tail :]
    assert buffer.value() == (whole if dropped <= 0 else cut)
    assert buffer.size == len(whole)


def test_output_copies_what_it_is_fed() -> None:
    memory = bytearray(b"first")
    buffer = OutputBuffer(100)
    buffer.feed(memoryview(memory))
    memory[:] = b"other"
    assert buffer.value() == b"first"


def test_output_value_can_be_taken_while_more_comes() -> None:
    buffer = fed(8, b"0123456789")
    assert MARK.sub(b"|", buffer.value()) == b"0123|6789"
    buffer.feed(b"abc")
    assert MARK.sub(b"|", buffer.value()) == b"0123|9abc"


def test_output_memory_is_bounded_when_single_bytes_come() -> None:
    limit = 16 * 1024
    buffer = OutputBuffer(limit)
    tracemalloc.start()
    try:
        for _ in range(limit * 4):
            buffer.feed(b"x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * limit
