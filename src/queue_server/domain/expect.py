"""Which HTTP statuses or exit codes mean success: `200-299`, `200,404`, `0`, `0-1,99`."""

import re
from functools import lru_cache

HTTP_RANGE = range(100, 600)
EXIT_RANGE = range(256)
LENGTH_LIMIT = 1000
HTTP_DEFAULT = "200-299"
EXIT_DEFAULT = "0"

_PART = re.compile(r"\A\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*\Z", re.ASCII)


@lru_cache(maxsize=256)
def expected_codes(expect: str | int, allowed: range) -> frozenset[int]:
    """The codes that `expect` names; ValueError with a sentence when it is not a list of codes and ranges."""
    text = str(expect)
    if len(text) > LENGTH_LIMIT:
        raise ValueError(f"must have at most {LENGTH_LIMIT} characters")
    codes: set[int] = set()
    for part in text.split(","):
        match = _PART.match(part)
        if match is None:
            raise ValueError(f"must be codes and ranges such as {_example(allowed)}")
        first, last = int(match[1]), int(match[2] or match[1])
        if first not in allowed or last not in allowed or first > last:
            raise ValueError(f"must name codes from {allowed[0]} to {allowed[-1]}, such as {_example(allowed)}")
        codes.update(range(first, last + 1))
    return frozenset(codes)


def _example(allowed: range) -> str:
    return "0,2-4" if allowed == EXIT_RANGE else "200-299,404"
