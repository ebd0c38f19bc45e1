"""What is measured on one queue, empty or full, and in which order."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from tests.performance import children, databases
from tests.performance.figures import Figure
from tests.performance.jobs import LAST, http_job
from tests.performance.sections import (
    accepts,
    batch,
    both,
    claims,
    cluster,
    drain,
    exec,  # noqa: A004
    flood,
    guarded,
    latency,
    lists,
    memory,
    start,
    waiting,
)
from tests.performance.stage import Bench, Stage, ballast_of, running_stage

# Accepts leave jobs waiting, so they come late; memory is looked at after everything but batches, which may be large.
MEASURES: dict[str, Callable[[Stage], Iterable[Figure]]] = {
    "latency": latency.measure,
    "exec": exec.measure,
    "drain": drain.measure,
    "both": both.measure,
    "waiting": waiting.measure,
    "accepts": accepts.measure,
    "guarded": guarded.measure,
    "memory": memory.measure,
    "batch": batch.measure,
    "flood": flood.measure,
}
FILL_PARTS = 20
SLOWEST_PER_S = 2_000


def measure_empty(bench: Bench) -> Iterator[Figure]:
    """Everything, on a server that begins with an empty database."""
    yield from measure(bench, bench.folder / "empty.db", 0)


def measure_full(bench: Bench) -> Iterator[Figure]:
    """Everything again, on a server in whose queue many runnable jobs of lower priority wait all the time."""
    database, waiting = bench.folder / "full.db", bench.options.backlog
    fill(bench, database, waiting)
    yield from (msgspec.structs.replace(figure, waiting=waiting) for figure in measure(bench, database, waiting))


def measure(bench: Bench, database: Path, waiting: int) -> Iterator[Figure]:
    sections = bench.options.sections
    if "start" in sections:
        yield from told(bench, start.measure(bench, database, waiting))
    if "lists" in sections:
        yield from told(bench, () if waiting else lists.measure(bench))  # they bring jobs of their own
    if "cluster" in sections:
        yield from told(bench, () if waiting else cluster.measure(bench))
    if "claims" in sections:
        yield from told(bench, () if waiting else claims.measure(bench))
    with running_stage(bench, database, waiting) as stage:
        for name, of_stage in MEASURES.items():
            if name in sections:
                yield from told(bench, of_stage(stage))


def told(bench: Bench, figures: Iterable[Figure]) -> Iterator[Figure]:
    """The figures of one section, which are shown as soon as they are known."""
    for figure in figures:
        bench.progress.show(figure)
        yield figure
    bench.progress.advance()


def fill(bench: Bench, database: Path, waiting: int) -> None:
    """Put ballast into the queue: our own server's through the store, another one's by posting."""
    bench.progress.say(f"filling the queue with {waiting:,} jobs")
    if bench.options.server_command:
        post_ballast(bench, database, waiting)
    else:
        job = http_job(bench.target.url(ballast_of(database)), LAST)
        url = databases.prepare(bench.options.db, database)
        children.work_of(children.program("fill", url, waiting), body=job, timeout_s=60 + waiting / SLOWEST_PER_S)
    bench.progress.advance()


def post_ballast(bench: Bench, database: Path, waiting: int) -> None:
    """The server holds some of it in all its slots and keeps the rest waiting."""
    with running_stage(bench, database, waiting) as stage:
        bench.target.hold(stage.ballast)
        for part in range(FILL_PARTS):
            bench.progress.say(f"filling the queue: {part * waiting // FILL_PARTS:,} of {waiting:,}")
            stage.add_ballast(waiting // FILL_PARTS)
