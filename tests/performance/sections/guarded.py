"""Guarded accepts: the same jobs with a token and lists of allowed and forbidden targets, and without.

Both servers are fresh; the jobs run tomorrow. The goal is that of docs/security.md: a twentieth at most.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.performance import children, procfs
from tests.performance.figures import Figure, Goal, beside
from tests.performance.jobs import late_job
from tests.performance.sections.accepts import MOST, accepting
from tests.performance.server import server_command
from tests.performance.stage import Bench, Stage

TOKEN = "the-token-of-the-benchmark"
GUARDS = ("--admin-token", TOKEN, "--http-allow", "127.0.0.0/8,.example.com,10.0.0.0/8", "--http-deny", "10.1.0.0/16")
ROUNDS = 10
"""Many short rounds: what is asked for is a small difference on a noisy machine."""

UNGUARDED = "neither token nor lists"
GOAL = Goal(ratio_at_least=0.95)


def measure(stage: Stage) -> Iterator[Figure]:
    if stage.waiting:
        return
    bench = stage.bench
    job = late_job(bench.target.url("/guarded"))
    with fresh_server(bench, "open") as plain, fresh_server(bench, "guarded", *GUARDS) as guarded:
        limits = {UNGUARDED: accepting(bench, plain[0], lambda: procfs.cpu_s(plain[1]), MOST, job=job)}
        measured = accepting(bench, guarded[0], lambda: procfs.cpu_s(guarded[1]), MOST, job=job, token=TOKEN)
        rounds = bench.alternate("guarded accepts", measured, limits, ROUNDS)
    yield beside(
        rounds,
        UNGUARDED,
        lambda work: work.per_s,
        name="guarded_accepts_per_s",
        title="accepts with a token and target lists",
        goal=GOAL,
    )
    yield beside(
        rounds,
        UNGUARDED,
        lambda work: work.cpu_s_per_1000,
        name="guarded_accept_cpu_s_per_1000_jobs",
        title="CPU for 1,000 of them",
        unit="s",
    )


@contextmanager
def fresh_server(bench: Bench, name: str, *flags: str) -> Iterator[tuple[int, int]]:
    """A server of its own for the length of the block: its port and pid."""
    port, database = children.free_port(), bench.folder / f"{name}.db"
    log = database.with_suffix(".log")
    command = [*server_command(bench.options, port, database), *flags]
    with children.running(command, log, folder=bench.folder) as process:
        children.connect(process, port, log).close()
        yield port, process.pid
