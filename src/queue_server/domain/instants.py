"""Times: integer microseconds since 1970 UTC inside, RFC 3339 or the first API's format outside."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def parse_instant(text: str) -> int:
    """Microseconds for an RFC 3339 time with its offset; ValueError where there is none or it is no time.

    OverflowError where it is, in UTC, before the year 1 or after 9999: such a time could not be written again.
    """
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        raise ValueError("needs an offset or Z")
    return (moment.astimezone(UTC) - EPOCH) // MICROSECOND


def rfc3339(instant: int | None) -> str | None:
    """`2026-11-24T09:30:00.000000Z`, or None."""
    if instant is None:
        return None
    return (EPOCH + timedelta(microseconds=instant)).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def classic_time(instant: int | None) -> str | None:
    """`2026-11-24 09:30:00` in UTC, as the first API writes it, or None."""
    if instant is None:
        return None
    return (EPOCH + timedelta(microseconds=instant)).strftime("%Y-%m-%d %H:%M:%S")
