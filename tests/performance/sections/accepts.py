"""Durable accepts: how many jobs a second are promised, while none runs.

The limits: an endpoint that decodes the same job and answers, and SQLite inserts in groups as durable as the
server's. Beside a full queue also an empty server, measured in turns with the full one.
"""

from collections.abc import Callable, Iterator

from tests.performance import children, databases, procfs
from tests.performance.figures import Figure, Goal, beside
from tests.performance.jobs import http_job
from tests.performance.load import with_cpu
from tests.performance.stage import Bench, Stage, bare_server, running_stage
from tests.performance.work import Work

CONNECTIONS = (1, 16, 64)
MOST = max(CONNECTIONS)
BARE_INSERTS = "grouped inserts"
LANE = "/accepted"
GOAL = Goal(ratio_at_least=0.42, at_least=14_000)
GOAL_FULL = Goal(ratio_at_least=0.90)


def measure(stage: Stage) -> Iterator[Figure]:
    stage.block()
    with bare_server(stage.bench, "endpoint") as bare:
        for connections in CONNECTIONS:
            yield from beside_limits(stage, bare, connections)
    if stage.waiting:
        yield beside_empty(stage)


def beside_limits(stage: Stage, bare: tuple[int, int], connections: int) -> Iterator[Figure]:
    bench, (port, pid) = stage.bench, bare
    limits = {"bare endpoint": accepting(bench, port, lambda: procfs.cpu_s(pid), connections)}
    if connections == MOST:
        limits[BARE_INSERTS] = lambda: inserting(bench)
    rounds = bench.alternate(f"accepts, {connections} connections", of_server(stage, connections), limits)
    name, title = f"accepts_{connections}_connections", f"accepts, {connections} connections"
    judged = not stage.waiting and connections == MOST
    yield beside(
        rounds,
        "bare endpoint",
        lambda work: work.per_s,
        name=f"{name}_per_s",
        title=title,
        goal=GOAL if judged else Goal(),
    )
    if connections == MOST:
        yield beside(
            rounds,
            BARE_INSERTS,
            lambda work: work.per_s,
            name=f"{name}_beside_inserts_per_s",
            title=title,
        )
        yield beside(
            rounds,
            "bare endpoint",
            lambda work: work.cpu_s_per_1000,
            name="accept_cpu_s_per_1000_jobs",
            title="CPU for 1,000 accepts",
            unit="s",
        )


def beside_empty(stage: Stage) -> Figure:
    """The full server in turns with an empty one."""
    bench = stage.bench
    with running_stage(bench, bench.folder / "beside.db", 0) as empty:
        empty.block()
        rounds = bench.alternate(
            "accepts beside an empty queue", of_server(stage, MOST), {"empty queue": of_server(empty, MOST)}
        )
    return beside(
        rounds,
        "empty queue",
        lambda work: work.per_s,
        name=f"accepts_{MOST}_connections_beside_empty_per_s",
        title=f"accepts, {MOST} connections",
        goal=GOAL_FULL,
    )


def of_server(stage: Stage, connections: int) -> Callable[[], Work]:
    return accepting(stage.bench, stage.server.port, stage.server.cpu_s, connections)


def accepting(
    bench: Bench, port: int, cpu_s: Callable[[], float], connections: int, *, job: bytes = b"", token: str = ""
) -> Callable[[], Work]:
    """A measurement of how many jobs a server accepts."""
    job = job or http_job(bench.target.url(LANE))

    def load() -> Work:
        return bench.load.post_for(bench.scale.accept_s, port, job, connections, token)

    return lambda: with_cpu(load, cpu_s)


def inserting(bench: Bench) -> Work:
    """Bare inserts into the same kind of database."""
    seconds, database = bench.scale.accept_s / 2, bench.folder / "inserts.db"
    if bench.options.db:
        command = children.program("driver", databases.prepare(bench.options.db, database), "inserts", seconds)
    else:
        command = children.program("inserts", database, seconds)
    return children.work_of(command, body=http_job(bench.target.url(LANE)), timeout_s=60)
