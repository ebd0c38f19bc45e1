"""Durations and sizes as people write them: `15m`, `512KiB`. One parser and one formatter for each.

A duration is in seconds, a size in bytes. A number without a unit is in that unit already. What a formatter
writes, its parser reads back as the same value.
"""

import re
from decimal import Decimal

DURATION_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
SIZE_UNITS = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
LONGEST_DURATION_S = 100 * 366 * 86_400
"""A hundred years: beyond any use, and a time that far away still fits a 64-bit integer of microseconds."""

_DURATION_FACTORS = {**{unit: Decimal(s) for unit, s in DURATION_UNITS.items()}, "ms": Decimal("0.001")}
_DECIMAL_SIZE_UNITS = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "KB": 10**3}
_SIZE_FACTORS = {unit.lower(): Decimal(n) for unit, n in {**SIZE_UNITS, **_DECIMAL_SIZE_UNITS}.items()}
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z]*)", re.ASCII)


def parse_duration(text: str) -> float:
    """The seconds that `90`, `1.5s`, `500ms`, `15m`, `12h` or `7d` mean; ValueError for anything else."""
    return float(_parse(text, _DURATION_FACTORS, default="s"))


def parse_size(text: str) -> int:
    """The bytes that `1048576`, `512KiB`, `1MiB` or `1GB` mean; ValueError for all else, half bytes too."""
    size = _parse(text.lower(), _SIZE_FACTORS, default="b")
    if size != int(size):
        raise ValueError(text)
    return int(size)


def format_duration(seconds: float) -> str:
    """The duration in the largest unit that it is whole in: 604800 is `7d`, 90 is `90s`, 0.5 is `500ms`."""
    exact = Decimal(repr(seconds))
    for unit, factor in DURATION_UNITS.items():
        if exact and exact % factor == 0:
            return f"{exact // factor:f}{unit}"
    milliseconds = exact * 1000
    if milliseconds == int(milliseconds) and milliseconds:
        return f"{int(milliseconds)}ms"
    return f"{exact.normalize():f}s"


def format_size(size: int) -> str:
    """The size in the largest unit that it is whole in: 1048576 is `1MiB`, 1000 is `1000B`."""
    for unit, factor in SIZE_UNITS.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def _parse(text: str, factors: dict[str, Decimal], *, default: str) -> Decimal:
    match = _QUANTITY.fullmatch(text.strip())
    factor = factors.get(match[2] or default) if match else None
    if match is None or factor is None:
        raise ValueError(text)
    return Decimal(match[1]) * factor
