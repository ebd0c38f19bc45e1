"""Claims beside a very large backlog: ten million jobs that wait, a million of the highest priority due tomorrow.

Only with `--db`, on a database of its own, through the store in a process of its own, without HTTP.
"""

from collections.abc import Iterator

import msgspec

from tests.performance import children, databases
from tests.performance.figures import Figure, Goal, alone
from tests.performance.programs.claim_times import SIZES
from tests.performance.sections.lists import percentile
from tests.performance.stage import Bench

LATER_SHARE = 10
SLOWEST_PER_S = 5_000
GOAL = Goal(at_most=20.0)


def measure(bench: Bench) -> Iterator[Figure]:
    """Milliseconds of a claim, by how many jobs it takes."""
    if not bench.options.db:
        return
    waiting, count = bench.scale.claim_backlog, bench.scale.claims
    bench.progress.say(f"claims beside {waiting:,} jobs")
    url = databases.prepare(bench.options.db, bench.folder / "backlog.db")
    command = children.program("claim_times", url, waiting, waiting // LATER_SHARE, count)
    taken = msgspec.json.decode(children.output_of(command, timeout_s=120 + waiting / SLOWEST_PER_S), type=list[float])
    for place, size in enumerate(SIZES):
        times = taken[place :: len(SIZES)]
        title = f"claim of {size} beside {waiting:,} jobs"
        yield alone(f"claim_{size}_p50_ms", f"{title}, p50", "ms", [percentile(times, 50)])
        yield alone(f"claim_{size}_p99_ms", f"{title}, p99", "ms", [percentile(times, 99)], GOAL)
