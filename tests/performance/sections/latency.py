"""Latency: how long from the start of a post to the arrival of its job at the target, one job at a time.

The limit: a bare endpoint that decodes, commits, answers and posts to the target.

Beside a full queue no slot is ever free for a job that comes: there the target gives one slot free once the job was
accepted, and the latency is the time to the promise plus the time from the free slot to the arrival.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from tests.performance.figures import Figure, Goal, beside
from tests.performance.jobs import http_job
from tests.performance.stage import Bench, Stage, bare_server
from tests.performance.target import Target
from tests.performance.wire import Connection

LANE = "/latency"
LIMIT = "bare relay"
LOST_S = 10.0
PAUSE_S = 0.003  # until the job before has been written as completed
GOALS = {50: Goal(at_most=3.0), 99: Goal(at_most=10.0)}


def measure(stage: Stage) -> Iterator[Figure]:
    bench, count = stage.bench, stage.bench.scale.latency_samples
    stage.block() if stage.waiting else stage.open()
    sample = partial(freed_to_target_ms if stage.waiting else add_to_target_ms, bench.target)
    with (
        bare_server(bench, "relay", bench.folder / "relay.db") as (port, _),
        closing(Connection(port)) as relay,
    ):
        limits = {LIMIT: lambda: samples(bench, partial(add_to_target_ms, bench.target), relay_add(relay), count // 2)}
        measured = partial(samples, bench, sample, stage.server.add, count)
        rounds = bench.alternate("latency", measured, limits)
    for share, goal in GOALS.items():
        yield beside(
            rounds,
            LIMIT,
            lambda each, share=share: percentile(each, share),
            name=f"latency_p{share}_ms",
            title=f"add to target, p{share}",
            unit="ms",
            goal=goal,
        )
