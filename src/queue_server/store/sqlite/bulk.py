"""Statements for many rows at once.

Between any two steps of SQLite the driver hands the interpreter's lock back and takes it again, which under a busy
event loop costs far more than the step. So a batch is written by a few statements with many rows each: `values (…),(…)`
in sizes that are powers of two, so that few different statements are prepared (measured: docs/decisions/0004).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

from queue_server.store.rows import Row

LARGEST = 256
"""Rows in one statement. The driver keeps prepared statements of up to 16 KiB of text: no query has so many columns
that 256 rows are longer."""


def in_bulk(template: str, rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Statements and their values for all rows. `{rows}` in the template stands for the list of rows."""
    start, left = 0, len(rows)
    while left:
        size = min(LARGEST, 1 << (left.bit_length() - 1))
        part = rows[start : start + size]
        yield _statement(template, len(part[0]), size), tuple(chain.from_iterable(part))
        start += size
        left -= size


@lru_cache(maxsize=128)
def _statement(template: str, columns: int, size: int) -> str:
    row = f"({','.join('?' * columns)})"
    return template.replace("{rows}", ",".join([row] * size))
