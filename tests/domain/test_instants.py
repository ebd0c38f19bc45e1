from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import strategies as st

from queue_server.domain.instants import classic_time, parse_instant, rfc3339
from tests.builders.properties import for_all


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-24T09:30:00Z", 1_795_512_600_000_000),
        ("2026-11-24t09:30:00z", 1_795_512_600_000_000),
        ("2026-11-24T10:30:00+01:00", 1_795_512_600_000_000),
        ("2026-11-24T09:30:00.000001-00:00", 1_795_512_600_000_001),
        ("1969-12-31T23:59:59.5Z", -500_000),
    ],
)
def test_time_with_its_offset_is_read(text, instant):
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text", ["", "x", "2026-11-24", "2026-11-24T09:30:00", "2026-13-01T00:00:00Z", "1795512600", "\0"]
)
def test_text_that_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01"])
def test_time_outside_the_calendar_is_refused(text):
    with pytest.raises(OverflowError):
        parse_instant(text)


@for_all(st.datetimes(timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))))
def test_time_that_is_read_can_be_written(moment):
    try:
        instant = parse_instant(moment.isoformat())
    except OverflowError:
        return
    written = rfc3339(instant)
    assert len(written) == 27, "years have four digits"
    assert instant == parse_instant(written)
    assert classic_time(instant).replace(" ", "T").rjust(19, "0") == written.partition(".")[0]


@for_all(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59)))  # noqa: DTZ001 (UTC is added)
def test_written_time_is_of_utc_with_microseconds(moment):
    moment = moment.replace(tzinfo=UTC)
    written = rfc3339(parse_instant(moment.isoformat()))
    assert len(written) == 27
    assert datetime.fromisoformat(written) == moment


def test_no_time_stays_none():
    assert rfc3339(None) is None
    assert classic_time(None) is None


def test_formats_are_those_of_the_apis():
    assert rfc3339(1_795_512_600_000_007) == "2026-11-24T09:30:00.000007Z"
    assert classic_time(1_795_512_600_000_007) == "2026-11-24 09:30:00"
