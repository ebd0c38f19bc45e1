"""Drain: how many waiting http jobs a second are run, while none is added.

The limit: a loop that sends the same requests to the same target, as many at once as the server has slots.
"""

from collections.abc import Iterator

from tests.performance import children, databases
from tests.performance.figures import Figure, Goal, beside
from tests.performance.jobs import http_job
from tests.performance.load import with_cpu
from tests.performance.stage import Bench, Stage
from tests.performance.work import Work

LANE = "/drained"
GOAL = Goal(ratio_at_least=0.50, at_least=12_000)
SLOWEST_PER_S = 200
BARE_CLAIMS = "bare claims and ends"


def measure(stage: Stage) -> Iterator[Figure]:
    limits = {"bare requests": lambda: requesting(stage.bench)}
    if stage.bench.options.db:
        limits[BARE_CLAIMS] = lambda: claiming(stage.bench)
    rounds = stage.bench.alternate("drain", lambda: draining(stage), limits)
    yield beside(
        rounds,
        "bare requests",
        lambda work: work.per_s,
        name="drain_per_s",
        title=f"drain of {stage.bench.scale.drain_jobs:,} http jobs",
        goal=GOAL,
    )
    if stage.bench.options.db:
        yield beside(
            rounds,
            BARE_CLAIMS,
            lambda work: work.per_s,
            name="drain_beside_claims_per_s",
            title=f"drain of {stage.bench.scale.drain_jobs:,} http jobs",
        )
    yield beside(
        rounds,
        "bare requests",
        lambda work: work.cpu_s_per_1000,
        name="drain_cpu_s_per_1000_jobs",
        title="CPU for 1,000 jobs drained",
        unit="s",
    )


def draining(stage: Stage) -> Work:
    """Let jobs wait behind ballast, give way, and stop the clock when the last of them reaches the target."""
    bench, count = stage.bench, stage.bench.scale.drain_jobs
    stage.block()
    bench.load.post(count, stage.server.port, http_job(bench.target.url(LANE)))
    before = bench.target.read(LANE).arrivals

    def drain() -> Work:
        begin_ns = stage.release()
        end_ns = bench.target.wait(LANE, before + count, 60 + count / SLOWEST_PER_S).last_arrival_ns
        return Work(amount=count, seconds=(end_ns - begin_ns) / 1e9)

    return with_cpu(drain, stage.server.cpu_s)


def claiming(bench: Bench) -> Work:
    """The database's driver alone, claiming and ending jobs."""
    url = databases.prepare(bench.options.db, bench.folder / "claims.db")
    command = children.program("driver", url, "claims", bench.scale.accept_s)
    return children.work_of(command, body=http_job(bench.target.url(LANE)), timeout_s=60)


def requesting(bench: Bench) -> Work:
    url, count = bench.target.url(LANE), bench.scale.drain_jobs
    command = children.program("requests", "--url", url, "--concurrency", bench.options.slots, "--requests", count)
    return children.work_of(command, timeout_s=60 + count / SLOWEST_PER_S)
