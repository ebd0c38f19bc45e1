"""Lists: how long a page of `GET /v1/jobs` takes beside a long history, one request at a time.

For each filter pages are read in every order, from the beginning of the list, its middle and near its end.
"""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from urllib.parse import urlencode

import msgspec

from queue_server.domain.instants import rfc3339
from queue_server.store.contract import Order, Position
from queue_server.web.v1.cursors import cursor_of
from tests.performance import children
from tests.performance.figures import Figure, Goal, alone
from tests.performance.programs.history import EVERY, LATER
from tests.performance.server import Server, running_server
from tests.performance.stage import Bench
from tests.performance.wire import Connection

GOAL = Goal(at_most=20.0)
SLOWEST_PER_S = 20_000
PLACES = (None, 0.5, 0.99)
"""Where to begin to read pages, as parts of the list."""

HIDDEN = {
    Order.ENDED_LAST: ("scheduled", "running"),
    Order.ENDED_FIRST: ("scheduled", "running"),
    Order.DUE: ("running", "failed", "cancelled", "completed"),
}
"""States that the server refuses to list in this order."""


class Page(msgspec.Struct, frozen=True):
    """What is read of an answer."""

    next_cursor: str | None


def measure(bench: Bench) -> Iterator[Figure]:
    """A server on a database of its own, in which none of its jobs can run."""
    if bench.options.server_command:
        return
    count, database = bench.scale.list_jobs, bench.folder / "history.db"
    begin = time.time_ns() // 1000 - count * EVERY
    bench.progress.say(f"a history of {count:,} jobs")
    children.work_of(children.program("history", database, count, begin), timeout_s=60 + count / SLOWEST_PER_S)
    ...
