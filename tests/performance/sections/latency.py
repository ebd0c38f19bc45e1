"""Latency: how long from the start of a post to the arrival of its job at the target, one job at a time.

The limit: a bare endpoint that decodes, commits, answers and posts to the target.

Beside a full queue no slot is ever free for a job that comes: there the target gives one slot free once the
job was accepted, and the latency is the time to the promise plus the time from the free slot to the arrival.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from tests.performance.figures import Figure, Goal, beside
from tests.performance.jobs import http_job
from tests.performance.stage import Stage, bare_server
from tests.performance.target import Target
from tests.performance.wire import Connection

LANE = "/latency"
LIMIT = "bare relay"
GOALS = {50: Goal(at_most=3.0), 99: Goal(at_most=10.0)}
LOST_S = 10.0
PAUSE_S = 0.003  # until the job before has been written as completed


def measure(stage: Stage) -> Iterator[Figure]:
    bench, count = stage.bench, stage.bench.scale.latency_samples
    with (
        bare_server(bench, "relay", bench.folder / "relay.db") as (port, _),
        closing(Connection(port)) as relay,
    ):

        def relayed() -> float:
            return add_to_target_ms(bench.target, lambda job: relay.exchange("POST", "/jobs/add", job))

        limits = {LIMIT: lambda: repeat(relayed, count // 2)}
        rounds = bench.alternate("latency", lambda: repeat(of_server(stage), count), limits)
    for share, goal in GOALS.items():
        yield beside(
            rounds,
            LIMIT,
            lambda latencies, share=share: percentile(latencies, share),
            name=f"latency_p{share}_ms",
            title=f"add to target, p{share}",
            unit="ms",
            goal=goal,
        )


def of_server(stage: Stage) -> Callable[[], float]:
    """One measurement of the server, idle or beside a full queue."""
    if stage.waiting:
        stage.block()
        return lambda: freed_to_target_ms(stage)
    stage.open()
    return lambda: add_to_target_ms(stage.bench.target, stage.server.add)


def add_to_target_ms(target: Target, add: Callable[[bytes], object]) -> float:
    arrivals, job = target.read(LANE).arrivals, http_job(target.url(LANE))
    begin_ns = time.monotonic_ns()
    add(job)
    return (target.wait(LANE, arrivals + 1, LOST_S).last_arrival_ns - begin_ns) / 1e6


def freed_to_target_ms(stage: Stage) -> float:
    target, job = stage.bench.target, http_job(stage.bench.target.url(LANE))
    arrivals, ballast = target.read(LANE).arrivals, target.read(stage.ballast).arrivals
    begin_ns = time.monotonic_ns()
    stage.server.add(job)
    promised_ns = time.monotonic_ns()
    freed_ns = target.release(stage.ballast, 1).now_ns
    arrived_ns = target.wait(LANE, arrivals + 1, LOST_S).last_arrival_ns
    target.wait(stage.ballast, ballast + 1, LOST_S)  # the slot is taken again
    return (promised_ns - begin_ns + arrived_ns - freed_ns) / 1e6


def repeat(sample: Callable[[], float], count: int) -> list[float]:
    values: list[float] = []
    for _ in range(count):
        values.append(sample())
        time.sleep(PAUSE_S)
    return values


def percentile(values: list[float], share: int) -> float:
    return sorted(values)[min(len(values) * share // 100, len(values) - 1)]
