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


def read_on(buffer: OutputBuffer, offset: int, limit: int = 7) -> tuple[bytes, int]:
    """All that a follower gets from an offset on, and where it is then."""
    got = b""
    while True:
        piece, offset = buffer.read(offset, limit)
        if not piece:
            return got, offset
        got += piece


@given(st.integers(0, 40), st.lists(st.binary(max_size=30), max_size=30), st.integers(1, 9))
def test_reader_that_keeps_up_sees_every_byte_once_however_small_the_limit(
    limit: int, pieces: list[bytes], at_once: int
) -> None:
    buffer, seen, offset = OutputBuffer(limit), b"", 0
    buffer.keep_last(30)
    for piece in pieces:
        buffer.feed(piece)
        more, offset = read_on(buffer, offset, at_once)
        seen += more
    assert seen == b"".join(pieces)


@given(st.integers(0, 40), st.integers(0, 60), st.lists(st.binary(max_size=30), max_size=30), st.integers(0, 300))
def test_late_reader_sees_kept_bytes_and_marks_that_count_the_others(
    limit: int, kept_last: int, pieces: list[bytes], start: int
) -> None:
    whole = b"".join(pieces)
    buffer = OutputBuffer(limit)
    buffer.keep_last(kept_last)
    for piece in pieces:
        buffer.feed(piece)
    seen, offset = read_on(buffer, min(start, len(whole)), 1000)
    assert offset == len(whole)
    expected = whole[min(start, len(whole)) :]
    if dropped := MARK.search(seen):
        before, after = seen[: dropped.start()], seen[dropped.end() :]
        assert expected.startswith(before)
        assert expected.endswith(after)
        assert len(before) + int(dropped[1]) + len(after) == len(expected)
        assert len(after) >= min(kept_last, len(expected))
    else:
        assert seen == expected


@given(st.integers(0, 40), st.lists(st.tuples(st.binary(max_size=30), st.booleans()), max_size=30))
def test_following_changes_nothing_of_what_is_kept(limit: int, steps: list[tuple[bytes, bool]]) -> None:
    buffer = OutputBuffer(limit)
    for piece, is_followed in steps:
        buffer.keep_last(50 if is_followed else 0)
        buffer.feed(piece)
    assert buffer.value() == fed(limit, *(piece for piece, _ in steps)).value()


def test_memory_of_following_is_given_back() -> None:
    buffer = OutputBuffer(1000)
    buffer.keep_last(100_000)
    buffer.feed(b"x" * 150_000)
    assert len(buffer._tail) == 100_000
    buffer.keep_last(0)
    assert len(buffer._tail) <= 1000
