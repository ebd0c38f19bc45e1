"""Batches: how many jobs a second are promised when 1,000 come in one request, while none runs; and how long a single
add takes while the largest batch is on its way.

The limit: SQLite inserts of 1,000 rows in a transaction, each as durable as the server's.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import msgspec

from tests.performance import children
from tests.performance.figures import Figure, Goal, alone, beside
from tests.performance.jobs import batch, http_job
from tests.performance.load import with_cpu
from tests.performance.stage import Bench, Stage
from tests.performance.wire import Connection
from tests.performance.work import Work

PATH = "/v1/jobs/batch"
LANE = "/batched"
JOBS = 1_000
CONNECTIONS = (1, 2)
LARGE_JOBS, LARGE_BODY = 10_000, 6_000
LIMIT = "inserts, 1,000 in a transaction"
GOAL = Goal(at_least=60_000)
MARGIN_S = 30.0


def measure(stage: Stage) -> Iterator[Figure]:
    stage.block()
    for connections in CONNECTIONS:
        rounds = stage.bench.alternate(
            f"batches, {connections} connections",
            posting(stage, connections),
            {LIMIT: lambda: inserting(stage.bench)},
        )
        judged = not stage.waiting and connections == max(CONNECTIONS)
        yield beside(
            rounds,
            LIMIT,
            lambda work: work.per_s,
            name=f"batch_{connections}_connections_jobs_per_s",
            title=f"jobs in batches of {JOBS:,}, {connections} connections",
            goal=GOAL if judged else Goal(),
        )
        yield beside(
            rounds,
            LIMIT,
            lambda work: work.cpu_s_per_1000,
            name=f"batch_{connections}_connections_cpu_s_per_1000_jobs",
            title="CPU for 1,000 jobs in a batch",
            unit="s",
        )
    yield from beside_large(stage)


def posting(stage: Stage, connections: int) -> Callable[[], Work]:
    """A measurement of how many jobs the server accepts in batches."""
    bench, body = stage.bench, batch(stage.bench.target.url(LANE), JOBS)
    arguments = ("--port", stage.server.port, "--connections", connections, "--path", PATH)
    command = children.program("generator", *arguments, "--seconds", bench.scale.accept_s)

    def load() -> Work:
        work = children.work_of(command, body=body, timeout_s=bench.scale.accept_s + MARGIN_S)
        return msgspec.structs.replace(work, amount=work.amount * JOBS)

    return lambda: with_cpu(load, stage.server.cpu_s)


def inserting(bench: Bench) -> Work:
    command = children.program("inserts", bench.folder / "batches.db", bench.scale.accept_s / 2, JOBS)
    return children.work_of(command, body=http_job(bench.target.url(LANE)), timeout_s=60)


def beside_large(stage: Stage) -> Iterator[Figure]:
    """Single adds, one after the other, from the first byte of a large batch to its answer."""
    url, port = stage.bench.target.url(LANE), stage.server.port
    body, job = batch(url, LARGE_JOBS, body="x" * LARGE_BODY), http_job(url)
    worst: list[float] = []
    middle: list[float] = []
    whole: list[float] = []
    for number in range(stage.bench.scale.rounds):
        stage.bench.progress.say(f"single adds beside a large batch: round {number + 1}")
        with closing(Connection(port)) as large, closing(Connection(port)) as single, ThreadPoolExecutor(1) as threads:
            begin = time.monotonic()
            answer = threads.submit(large.exchange, "POST", PATH, body)
            taken = add_until(answer, single, job)
            whole.append(time.monotonic() - begin)
        worst.append(max(taken) * 1000)
        middle.append(sorted(taken)[len(taken) // 2] * 1000)
    size = f"{len(body) >> 20} MiB"
    yield alone("large_batch_s", f"batch of {LARGE_JOBS:,} jobs, {size}", "s", whole)
    yield alone("add_beside_large_batch_p50_ms", f"single add beside a batch of {size}, p50", "ms", middle)
    yield alone("add_beside_large_batch_worst_ms", f"single add beside a batch of {size}, worst", "ms", worst)


def add_until(answer: "Future[bytes]", single: Connection, job: bytes) -> list[float]:
    """Add the job over and over until there is an answer; the seconds that each add took, at least one."""
    taken: list[float] = []
    while not answer.done() or not taken:
        begin = time.monotonic()
        single.exchange("POST", "/jobs/add", job)
        taken.append(time.monotonic() - begin)
    answer.result()
    return taken
