"""What a Range header asks for (RFC 9110 section 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_server.web.byte_range import requested_range

TEN = "0123456789"


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", "0"),
        ("bytes=0-9", TEN),
        ("bytes=0-", TEN),
        ("bytes=3-5", "345"),
        ("bytes=9-", "9"),
        ("bytes=8-100", "89"),
        ("bytes=-1", "9"),
        ("bytes=-3", "789"),
        ("bytes=-10", TEN),
        ("bytes=-999999999999999999", TEN),
        ("BYTES=3-5", "345"),
        ("bytes= 3-5 ", "345"),
    ],
)
def test_single_range_is_a_part(header: str, part: str) -> None:
    wanted = requested_range(header, 10)
    assert wanted is not None
    assert TEN[wanted.start : wanted.stop] == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=999999999999999999-", "bytes=-0"])
def test_range_that_is_not_there_is_empty(header: str) -> None:
    wanted = requested_range(header, 10)
    assert wanted is not None
    assert not wanted


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-3",
        "bytes=0-1,3-4",
        "bytes=0-1, -1",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=1-2-3",
        "bytes=\u0661-\u0662",
        "bytes=0-1\n",
        "items=0-1",
        "0-1",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_what_is_no_single_range_of_bytes_is_the_whole(header: str | None) -> None:
    assert requested_range(header, 10) is None


def test_nothing_has_no_part() -> None:
    assert requested_range("bytes=-5", 0) is None
    assert not requested_range("bytes=0-", 0)
    assert requested_range("bytes=0-", 0) is not None


@given(st.integers(0, 30), st.text("bytes=-0123456789, ", max_size=14))
def test_part_is_always_inside_the_body(size: int, header: str) -> None:
    wanted = requested_range(header, size)
    if wanted:
        assert 0 <= wanted.start < wanted.stop <= size
