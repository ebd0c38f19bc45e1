"""The named queries of this store, and rows as the arrays that they take."""

from collections.abc import Sequence
from typing import Any

from queue_server.store.queries import load_queries
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import RECORD

_FILE = load_queries("queue_server.store.postgres")

QUERIES = {
    name: query.removesuffix(";")
    .replace("{record}", RECORD)
    .replace("{deleted}", _FILE["deleted"])
    .replace("{touched}", _FILE["touched"])
    for name, query in _FILE.items()
}


def columns(rows: Sequence[Row], count: int) -> list[Sequence[Any]]:
    """The `count` columns of rows, each an array for `unnest`."""
    return list(zip(*rows, strict=True)) if rows else [()] * count
