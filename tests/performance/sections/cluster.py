"""Several nodes on one database server: accepts of three beside those of one, and what an idle cluster costs.

Only with `--db`. The jobs are due tomorrow, so that none runs.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.performance import databases
from tests.performance.figures import Figure, Goal, alone, beside
from tests.performance.jobs import late_job
from tests.performance.server import Server, running_server
from tests.performance.stage import Bench
from tests.performance.work import Work

NODES = 3
IDLE_NODES = 10
CONNECTIONS = 66
SETTLE_S = 15.0
IDLE_S = 15.0
LANE = "/tomorrow"
GOAL_NODES = Goal(ratio_at_least=1.0)
GOAL_IDLE_CPU = Goal(at_most=3.0)
GOAL_QUERIES = Goal(at_most=20.0)


def measure(bench: Bench) -> Iterator[Figure]:
    """On databases of its own."""
    if not bench.options.db:
        return
    yield accepts(bench)
    yield from idle(bench)


def accepts(bench: Bench) -> Figure:
    """The same number of connections to one node and to three, in turns."""
    with ExitStack() as stack:
        nodes = start(bench, stack, "nodes", NODES)
        rounds = bench.alternate(
            f"accepts, {NODES} nodes",
            lambda: accepting(bench, nodes),
            {"one node": lambda: accepting(bench, nodes[:1])},
        )
    return beside(
        rounds,
        "one node",
        lambda work: work.per_s,
        name=f"accepts_{NODES}_nodes_per_s",
        title=f"accepts of {NODES} nodes",
        goal=GOAL_NODES,
    )


def idle(bench: Bench) -> Iterator[Figure]:
    """CPU of all nodes together, and what they ask the database."""
    with ExitStack() as stack:
        nodes = start(bench, stack, "idle", IDLE_NODES)
        bench.progress.say(f"{IDLE_NODES} idle nodes")
        time.sleep(SETTLE_S)  # what a node does once at its start is not what it costs
        url = databases.url_of(bench.options.db, bench.folder / "idle.db")
        queries, cpu_s, begin = databases.queries(url), cpu_of(nodes), time.monotonic()
        time.sleep(IDLE_S)
        cpu_s, seconds = cpu_of(nodes) - cpu_s, time.monotonic() - begin
        queries = databases.queries(url) - queries
    title = f"{IDLE_NODES} idle nodes"
    yield alone("idle_nodes_cpu_percent", f"{title}: CPU of a core", "%", [100 * cpu_s / seconds], GOAL_IDLE_CPU)
    yield alone("idle_nodes_queries_per_s", f"{title}: transactions", "/s", [queries / seconds], GOAL_QUERIES)


def start(bench: Bench, stack: ExitStack, name: str, count: int) -> Sequence[Server]:
    database = bench.folder / f"{name}.db"
    return [stack.enter_context(running_server(bench.options, database)) for _ in range(count)]


def accepting(bench: Bench, nodes: Sequence[Server]) -> Work:
    job, each = late_job(bench.target.url(LANE)), CONNECTIONS // len(nodes)
    with ThreadPoolExecutor(len(nodes)) as threads:
        loads = [threads.submit(bench.load.post_for, bench.scale.accept_s, node.port, job, each) for node in nodes]
        works = [load.result() for load in loads]
    return Work(amount=sum(work.amount for work in works), seconds=max(work.seconds for work in works))


def cpu_of(nodes: Sequence[Server]) -> float:
    return sum(node.cpu_s() for node in nodes)
