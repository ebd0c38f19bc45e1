"""Both at once: jobs are added as fast as they are accepted and run meanwhile, all on the same cores.

The limit: the bare endpoint under the same load and the bare requests at the same time.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.performance import children, procfs
from tests.performance.figures import Figure, Goal, beside
from tests.performance.jobs import http_job
from tests.performance.stage import Bench, Stage, bare_server
from tests.performance.work import Work

LANE = "/both"
CONNECTIONS = 64
LIMIT = "bare endpoint + requests"
GOAL = Goal(at_least=5_000)


class Both(NamedTuple):
    """What was accepted and what was run at the same time; the CPU seconds of both are with the jobs."""

    accepts: Work
    jobs: Work


def measure(stage: Stage) -> Iterator[Figure]:
    bench = stage.bench
    stage.open()
    with bare_server(bench, "endpoint") as bare:
        limits = {LIMIT: lambda: limit(bench, *bare)}
        rounds = bench.alternate("both at once", lambda: both(stage), limits, bench.scale.both_rounds)
    yield beside(
        rounds,
        LIMIT,
        lambda work: work.accepts.per_s,
        name="both_accepts_per_s",
        title="both at once: accepts",
    )
    yield beside(
        rounds,
        LIMIT,
        lambda work: work.jobs.per_s,
        name="both_jobs_per_s",
        title="both at once: jobs run",
        goal=GOAL,
    )
    yield beside(
        rounds,
        LIMIT,
        lambda work: work.jobs.cpu_s_per_1000,
        name="both_cpu_s_per_1000_jobs",
        title="CPU for 1,000 jobs added and run",
        unit="s",
    )


def both(stage: Stage) -> Both:
    """All that reaches the target counts: beside a full queue its jobs run whenever no newer ones wait."""
    bench = stage.bench
    job = http_job(bench.target.url(LANE))
    cpu_s, before = stage.server.cpu_s(), bench.target.read(LANE)
    accepts = bench.load.post_for(bench.scale.both_s, stage.server.port, job, CONNECTIONS)
    after, cpu_s = bench.target.read(LANE), stage.server.cpu_s() - cpu_s
    jobs, seconds = after.all_arrivals - before.all_arrivals, (after.now_ns - before.now_ns) / 1e9
    return Both(accepts, Work(amount=jobs, seconds=seconds, cpu_s=cpu_s))


def limit(bench: Bench, port: int, pid: int) -> Both:
    seconds, url = bench.scale.both_s / 2, bench.target.url(LANE)
    command = children.program("requests", "--url", url, "--concurrency", bench.options.slots, "--seconds", seconds)
    cpu_s = procfs.cpu_s(pid)
    with ThreadPoolExecutor(1) as threads:
        requests = threads.submit(children.work_of, command, timeout_s=seconds + 30)
        accepts = bench.load.post_for(seconds, port, http_job(url), CONNECTIONS)
        jobs = requests.result()
    cpu_s = procfs.cpu_s(pid) - cpu_s + jobs.cpu_s
    return Both(accepts, Work(amount=jobs.amount, seconds=jobs.seconds, cpu_s=cpu_s))
