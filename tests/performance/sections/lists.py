"""Lists: how long a page of `GET /v1/jobs` takes beside a long history, one request at a time.

For each filter pages are read in every order, from the beginning of the list, its middle and near its end.

The limit: a request that reads nothing, in turns with the pages.
"""

import itertools
import re
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

BARE = "/healthz"
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


class Sample(msgspec.Struct, frozen=True):
    """How long a page took, and the bare request before it."""

    page_ms: float
    bare_ms: float


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
    every: list[Sample] = []
    with running_server(bench.options, database) as server, closing(Connection(server.port)) as connection:
        before_s = server.cpu_s()
        for name, parameters in filters(history).items():
            bench.progress.say(f"lists: {name}")
            samples = [*of_filter(connection, history, parameters, bench.scale.list_pages)]
            every += samples
            yield figure(samples, 99, name, f"of {count:,} jobs: {name}")
        cpu_s = 1000 * (server.cpu_s() - before_s) / len(every)
    yield figure(every, 50, "all filters", f"of {count:,} jobs: all filters")
    yield figure(every, 99, "all filters", f"of {count:,} jobs: all filters")
    yield alone("list_cpu_s_per_1000_pages", f"CPU for 1,000 pages of {count:,} jobs", "s", [cpu_s])


def of_filter(connection: Connection, history: History, parameters: Mapping[str, str], pages: int) -> Iterator[Sample]:
    """The pages in every order and from every place."""
    for order, place in itertools.product(Order, PLACES):
        if any(state in REFUSED.get(order, ()) for state in parameters.get("state", "").split(",")):
            continue
        cursor = None if place is None else history.cursor(order, place)
        for _ in range(pages):
            query = urlencode({**parameters, "sort": str(order), **({"cursor": cursor} if cursor else {})})
            bare_ms, _ = timed(connection, BARE)
            page_ms, answer = timed(connection, f"/v1/jobs?{query}")
            yield Sample(page_ms, bare_ms)
            cursor = msgspec.json.decode(answer, type=Page).next_cursor
            if cursor is None:
                break


def timed(connection: Connection, path: str) -> tuple[float, bytes]:
    begin_ns = time.monotonic_ns()
    answer = connection.exchange("GET", path)
    return (time.monotonic_ns() - begin_ns) / 1e6, answer


def figure(samples: list[Sample], share: int, name: str, title: str) -> Figure:
    page = percentile([sample.page_ms for sample in samples], share)
    bare = percentile([sample.bare_ms for sample in samples], share)
    return Figure(
        name=f"list_{re.sub('[^a-z0-9]+', '_', name).strip('_')}_p{share}_ms",
        title=f"page {title}, p{share}",
        unit="ms",
        measured=[page],
        limit_title=f"GET {BARE}",
        limit=[bare],
        ratios=[page / bare],
        goal=GOAL,
    )


def percentile(values: list[float], share: int) -> float:
    return sorted(values)[min(len(values) * share // 100, len(values) - 1)]
