"""Lists: how long a page of `GET /v1/jobs` takes beside a long history, one request at a time.

For each filter pages are read in every order, from the beginning of the list, its middle and near its end.
"""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from urllib.parse import urlencode

import msgspec

from queue_server.clock import SystemClock
from queue_server.domain.instants import rfc3339
from queue_server.store.contract import Order, Position
from queue_server.web.v1.cursors import cursor_of
from tests.performance import children
from tests.performance.figures import Figure, Goal, alone
from tests.performance.programs.history import EVERY, LATER
from tests.performance.server import running_server
from tests.performance.stage import Bench
from tests.performance.wire import Connection

GOAL = Goal(at_most=20.0)
SLOWEST_PER_S = 20_000
PLACES = (None, 0.5, 0.99)
"""Where to begin to read pages, as shares of the list."""

REFUSED = {
    Order.ENDED_LAST: ("scheduled", "available", "running"),
    Order.ENDED_FIRST: ("scheduled", "available", "running"),
    Order.DUE: ("available", "running", "failed", "cancelled", "completed"),
}
"""States that can't be listed in this order."""


class Page(msgspec.Struct, frozen=True):
    """What matters of an answer."""

    next_cursor: str | None


class History(msgspec.Struct, frozen=True):
    """The jobs in the database: how many, and when the first was created, in µs."""

    count: int
    begin: int

    def time(self, share: float) -> str:
        """When that share of the jobs had been created."""
        return str(rfc3339(self._time(share)))

    def cursor(self, order: Order, share: float) -> str:
        """A place of a list behind that share of all jobs."""
        if order in {Order.NEWEST, Order.ENDED_LAST}:
            share = 1 - share
        id_ = int(self.count * share)
        values = {Order.NEWEST: id_, Order.OLDEST: id_, Order.DUE: self._time(1) + LATER}
        return cursor_of(order, Position(values.get(order, self._time(share)), id_))

    def _time(self, share: float) -> int:
        return self.begin + int(self.count * share) * EVERY


def filters(history: History) -> Mapping[str, Mapping[str, str]]:
    """Parameters by what they ask for: each filter alone, with many jobs and with few, and several together."""
    old, young = history.time(0.1), history.time(0.9)
    return {
        "all jobs": {},
        "completed": {"state": "completed"},
        "failed (old)": {"state": "failed"},
        "running (one)": {"state": "running"},
        "scheduled": {"state": "scheduled"},
        "failed and cancelled": {"state": "failed,cancelled"},
        "http": {"type": "http"},
        "exec (few)": {"type": "exec"},
        "queue with many": {"queue": "mail"},
        "queue with few (old)": {"queue": "reports"},
        "default queue": {"queue": "default"},
        "context with many": {"context": "shop"},
        "context with 3 (old)": {"context": "rare"},
        "context with none": {"context": "none"},
        "key": {"key": "tenant-7"},
        "parent": {"parent_id": str(history.count // 2 // 1000 * 1000)},
        "tag of 1 %": {"tag.customer": "acme"},
        "tag of one (old)": {"tag.order": "4711"},
        "created long ago": {"created_before": old},
        "created in between": {"created_after": old, "created_before": young},
        "ended long ago": {"ended_before": old},
        "ended in between": {"ended_after": old, "ended_before": young},
        "queue, failed": {"queue": "mail", "state": "failed"},
        "queue, running": {"queue": "mail", "state": "running"},
        "queue and context": {"queue": "mail", "context": "shop"},
        "two tags": {"tag.customer": "acme", "tag.region": "eu"},
        "tag, failed": {"tag.customer": "acme", "state": "failed"},
        "tag, none": {"tag.customer": "acme", "key": "tenant-7"},
        "context, created long ago": {"context": "shop", "created_before": old},
        "default, http, completed": {"queue": "default", "type": "http", "context": "default", "state": "completed"},
    }


def measure(bench: Bench) -> Iterator[Figure]:
    """On a server with a database of its own, in which no job can run."""
    if bench.options.server_command:
        return
    count, database = bench.scale.list_jobs, bench.folder / "history.db"
    history = History(count, SystemClock().now() - count * EVERY)
    bench.progress.say(f"lists: a history of {count:,} jobs")
    fill = children.program("history", database, count, history.begin)
    children.work_of(fill, timeout_s=60 + count / SLOWEST_PER_S)
    every: list[float] = []
    with running_server(bench.options, database) as server, closing(Connection(server.port)) as connection:
        for name, parameters in filters(history).items():
            bench.progress.say(f"lists: {name}")
            times = [*of_filter(connection, history, parameters, bench.scale.list_pages)]
            every += times
            word = name.replace(" ", "_").replace("%", "percent").translate(str.maketrans("", "", "(),"))
            title = f"page of {count:,} jobs, p99: {name}"
            yield alone(f"list_{word}_p99_ms", title, "ms", [percentile(times, 99)], GOAL)
    yield alone("list_p50_ms", f"page of {count:,} jobs, p50 of all filters", "ms", [percentile(every, 50)])
    yield alone("list_p99_ms", f"page of {count:,} jobs, p99 of all filters", "ms", [percentile(every, 99)], GOAL)


def of_filter(connection: Connection, history: History, parameters: Mapping[str, str], pages: int) -> Iterator[float]:
    """The time of each page, in ms."""
    for order, place in itertools.product(Order, PLACES):
        if any(state in REFUSED.get(order, ()) for state in parameters.get("state", "").split(",")):
            continue
        cursor = None if place is None else history.cursor(order, place)
        for _ in range(pages):
            query = urlencode({**parameters, "sort": str(order), **({"cursor": cursor} if cursor else {})})
            begin_ns = time.monotonic_ns()
            answer = connection.exchange("GET", f"/v1/jobs?{query}")
            yield (time.monotonic_ns() - begin_ns) / 1e6
            cursor = msgspec.json.decode(answer, type=Page).next_cursor
            if cursor is None:
                break


def percentile(values: list[float], share: int) -> float:
    return sorted(values)[min(len(values) * share // 100, len(values) - 1)]
