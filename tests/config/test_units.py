from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_server.config.units import (
    LONGEST_DURATION_S,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5s", 1.5),
        ("15m", 900),
        ("12h", 43_200),
        ("7d", 604_800),
        ("500ms", 0.5),
        ("0", 0),
        (" 5 s ", 5),
        ("0.1m", 6.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1w", "1 5", "1e3", "inf", "nan", "١٢", "1.s", "5S", "1h30m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 1 << 20),
        ("512KiB", 512 << 10),
        ("1MiB", 1 << 20),
        ("1mib", 1 << 20),
        ("1GB", 10**9),
        ("1.5KiB", 1536),
        ("0", 0),
        ("3B", 3),
    ],
)
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5", "0.3KiB", "1XB", "1 2", "1k"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_size(text)


@given(st.floats(min_value=0, max_value=LONGEST_DURATION_S).map(lambda seconds: round(seconds, 6)))
def test_a_formatted_duration_is_read_back_as_the_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_whole_number_of_any_unit_survives_reading_and_formatting(number: int, unit: str) -> None:
    seconds = parse_duration(f"{number}{unit}")
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=1 << 50))
def test_a_formatted_size_is_read_back_as_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.text(max_size=20))
def test_any_other_text_is_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_size):
        with suppress(ValueError):
            assert parse(text) >= 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(604_800.0, "7d"), (90.0, "90s"), (0.5, "500ms"), (0.0, "0s"), (5400.0, "90m"), (1.2345, "1.2345s")],
)
def test_a_duration_is_shown_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(1 << 20, "1MiB"), (1000, "1000B"), (0, "0B"), (1536, "1536B")])
def test_a_size_is_shown_in_its_largest_whole_unit(size: int, text: str) -> None:
    assert format_size(size) == text
