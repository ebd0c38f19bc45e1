"""Exec: how many waiting commands a second are run.

The limit: a loop that starts and reaps the same command, as many at once as the server does by default. Not
measured beside a full queue, whose http jobs would take the slots that the last commands leave.
"""

import os
import time
from collections.abc import Iterator

from tests.performance import children
from tests.performance.children import BenchmarkError
from tests.performance.figures import Figure, Goal, beside
from tests.performance.jobs import exec_job
from tests.performance.load import with_cpu
from tests.performance.stage import Bench, Stage, until
from tests.performance.work import Work

CONCURRENCY = 2 * (os.cpu_count() or 1)  # the server's default exec_concurrency
GOAL = Goal(ratio_at_least=0.50)
SLOWEST_PER_S = 20


def measure(stage: Stage) -> Iterator[Figure]:
    if stage.waiting:
        return
    limits = {"bare spawns": lambda: spawning(stage.bench)}
    rounds = stage.bench.alternate("exec", lambda: draining(stage), limits)
    yield beside(
        rounds,
        "bare spawns",
        lambda work: work.per_s,
        name="exec_per_s",
        title=f"drain of {stage.bench.scale.exec_jobs:,} exec jobs",
        goal=GOAL,
    )
    yield beside(
        rounds,
        "bare spawns",
        lambda work: work.cpu_s_per_1000,
        name="exec_cpu_s_per_1000_jobs",
        title="CPU for 1,000 exec jobs",
        unit="s",
    )


def draining(stage: Stage) -> Work:
    """Let commands wait behind ballast, give way, and stop the clock when the server has nothing left."""
    count = stage.bench.scale.exec_jobs
    stage.block()
    stage.bench.load.post(count - 1, stage.server.port, exec_job())
    last = stage.server.add(exec_job())

    def drain() -> Work:
        begin = time.monotonic()
        stage.release()
        until(lambda: idle(stage), 60 + count / SLOWEST_PER_S, f"the server did not run {count:,} commands")
        seconds = time.monotonic() - begin
        if not stage.server.succeeded(last):
            raise BenchmarkError("the commands did not run well")
        return Work(amount=count, seconds=seconds)

    return with_cpu(drain, stage.server.cpu_s)


def idle(stage: Stage) -> bool:
    counts = stage.server.counts()
    return counts.waiting == counts.working == 0


def spawning(bench: Bench) -> Work:
    command = children.program("spawns", bench.scale.exec_jobs, CONCURRENCY)
    return children.work_of(command, timeout_s=60 + bench.scale.exec_jobs / SLOWEST_PER_S)
