"""Start: from the start of the process to the first accepted job, and how long `--help` takes."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.performance import children
from tests.performance.children import BenchmarkError
from tests.performance.figures import Figure, Goal, alone
from tests.performance.jobs import http_job
from tests.performance.server import help_command
from tests.performance.stage import Bench, running_stage

LANE = "/start"
GOAL = Goal(at_most=1.0)
GOAL_HELP = Goal(at_most=0.2)
HELP_RUNS = 5


def measure(bench: Bench, database: Path, waiting: int) -> Iterator[Figure]:
    """The database is kept as it is, but for one job for each start."""
    bench.progress.say("start to first accepted job")
    starts = [start_s(bench, database, waiting) for _ in range(bench.scale.starts)]
    yield alone("start_to_first_accept_s", "start to first accepted job", "s", starts, GOAL)
    command = help_command(bench.options)
    if command and not waiting:
        bench.progress.say("--help")
        best = min(run_s(command, bench.folder) for _ in range(HELP_RUNS))
        yield alone("help_s", f"--help, best of {HELP_RUNS}", "s", [best], GOAL_HELP)


def start_s(bench: Bench, database: Path, waiting: int) -> float:
    begin = time.monotonic()
    with running_stage(bench, database, waiting) as stage:
        stage.server.add(http_job(bench.target.url(LANE)))
        return time.monotonic() - begin


def run_s(command: list[str], folder: Path) -> float:
    begin = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=children.environment(folder), capture_output=True, timeout=30, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace')}")
    return time.monotonic() - begin
