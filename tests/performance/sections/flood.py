"""A flood: how long a single add takes while four clients send the largest batches, one after the other."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from tests.performance.figures import Figure, alone
from tests.performance.jobs import batch, http_job
from tests.performance.sections.batch import LANE, LARGE_JOBS, PATH
from tests.performance.stage import Stage
from tests.performance.wire import Connection

CLIENTS, BATCHES = 4, 5
BEGIN_S = 60.0


def measure(stage: Stage) -> Iterator[Figure]:
    stage.block()
    url, port = stage.bench.target.url(LANE), stage.server.port
    body, job = batch(url, LARGE_JOBS), http_job(url)
    middle: list[float] = []
    worst: list[float] = []
    for number in range(stage.bench.scale.rounds):
        stage.bench.progress.say(f"single adds beside {CLIENTS} clients' batches: round {number + 1}")
        taken = beside_flood(port, body, job)
        middle.append(sorted(taken)[len(taken) // 2] * 1000)
        worst.append(max(taken) * 1000)
    title = f"single add beside {CLIENTS} clients' batches of {LARGE_JOBS:,}"
    yield alone("add_beside_flood_p50_ms", f"{title}, p50", "ms", middle)
    yield alone("add_beside_flood_worst_ms", f"{title}, worst", "ms", worst)


def beside_flood(port: int, body: bytes, job: bytes) -> list[float]:
    """The seconds that single adds took, one after the other, from the first batch's answer to some client's last."""
    has_begun = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as threads, closing(Connection(port)) as single:
        clients = [threads.submit(send, port, body, has_begun) for _ in range(CLIENTS)]
        has_begun.wait(BEGIN_S)
        taken = add_beside(clients, single, job)
        for client in clients:
            client.result()
    return taken


def send(port: int, body: bytes, has_begun: threading.Event) -> None:
    with closing(Connection(port)) as connection:
        for _ in range(BATCHES):
            connection.exchange("POST", PATH, body)
            has_begun.set()


def add_beside(clients: "list[Future[None]]", single: Connection, job: bytes) -> list[float]:
    taken: list[float] = []
    while not taken or not any(client.done() for client in clients):
        begin = time.monotonic()
        single.exchange("POST", "/jobs/add", job)
        taken.append(time.monotonic() - begin)
    return taken
