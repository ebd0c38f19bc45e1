"""Times as people read them in a table. `queue_server.config.units` writes the exact ones."""

from datetime import UTC, datetime

_STEPS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))


def span(seconds: float) -> str:
    """A length of time in its one or two largest units: `812ms`, `3.2s`, `4m 5s`, `2h 3m`, `6d 4h`."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    for size, unit, small_size, small_unit in _STEPS:
        if seconds >= size:
            rest = int(seconds % size) // small_size
            return f"{int(seconds // size)}{unit}" + (f" {rest}{small_unit}" if rest else "")
    return f"{int(seconds)}s"


def age(then: datetime, now: datetime) -> str:
    """How long ago that was, in its largest unit: `3s`, `4m`, `2h`, `6d`; never below 0."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit, *_ in _STEPS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def moment(time: datetime) -> str:
    """The time in UTC to the millisecond."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
