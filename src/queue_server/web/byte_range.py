"""The Range header of a request (RFC 9110 section 14): which part of a body is asked for."""

import re

_RANGE = re.compile(r"\Abytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*\Z", re.IGNORECASE | re.ASCII)


def requested_range(header: str | None, size: int) -> range | None:
    """The positions that a Range header asks for in a body of `size` bytes; None for the whole body.

    An empty range where it asks for none that are there: 416. What is no single range of bytes asks for the whole, as
    section 14.2 allows: several ranges, another unit, a last byte before the first.
    """
    match = _RANGE.match(header) if header else None
    if match is None:
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    if first:
        return range(int(first), min(int(last) + 1, size) if last else size)
    if not last or (not size and int(last)):  # the last bytes of nothing are there, but no Content-Range can say so
        return None
    return range(max(0, size - int(last)), size)
