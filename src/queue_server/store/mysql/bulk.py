"""Statements for many rows at once, in two ways.

Inserts are `values (…),(…)` in sizes that are powers of two, so that few different statements are prepared, and within
what the server takes as one packet. What joins rows with a table gets them as one JSON text, which JSON_TABLE reads:
then there is one statement for any number of rows.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

from msgspec import json

from queue_server.store.rows import Row

LARGEST = 128
"""Rows in one statement."""

STATEMENT_BYTES = 4 * 1024 * 1024
"""Bytes and text in one statement, unless one row has more. Servers take 16 MiB or more by default."""


def in_bulk(template: str, rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Statements and their values for all rows. `{rows}` in the template stands for the list of rows."""
    start, left = 0, len(rows)
    while left:
        size = min(LARGEST, 1 << (left.bit_length() - 1))
        part = rows[start : start + size]
        while size > 1 and _weight(part) > STATEMENT_BYTES:
            size //= 2
            part = part[:size]
        yield _statement(template, len(part[0]), size), tuple(chain.from_iterable(part))
        start += size
        left -= size


def listed(values: Sequence[object]) -> str:
    """Values, or rows of values, as one value of a query with JSON_TABLE."""
    return json.encode(values).decode()


def _weight(rows: Sequence[Row]) -> int:
    return sum(len(value) for row in rows for value in row if isinstance(value, bytes | str))


@lru_cache(maxsize=256)
def _statement(template: str, columns: int, size: int) -> str:
    row = f"({','.join('?' * columns)})"
    return template.replace("{rows}", ",".join([row] * size))
