"""kill -9 of nodes and of their database, in any combination, loses nothing that was acknowledged.

CHAOS_KILLS is how often it strikes.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.chaos.cluster import RECLAIM_S, Cluster, cluster_on, some_nodes
from tests.chaos.database_server import DatabaseServer, mariadb_of_its_own, postgres_of_its_own
from tests.chaos.load import recorders, rounds, seeded_chance
from tests.chaos.oracle import Verdict, share
from tests.chaos.planting import planted
from tests.chaos.postgres_variants import acknowledge_before_commit, rescue_while_running
from tests.support.server import PROGRAM

NODES = 3
RATE = 100
"""Jobs a second, each with a callback."""

TARGET_S = 0.2
"""How long a job runs, so that there is always something to strike."""

OfItsOwn = Callable[[], AbstractContextManager[DatabaseServer]]
KILLS = rounds("CHAOS_KILLS", 12)
pytestmark = [pytest.mark.long, pytest.mark.timeout(300 + 10 * KILLS)]


@pytest.mark.parametrize("database", [postgres_of_its_own, mariadb_of_its_own])
def test_kills_of_nodes_and_database_lose_nothing_and_jobs_are_soon_claimed_again(
    tmp_path: Path, database: OfItsOwn
) -> None:
    verdict = run_kills(tmp_path, KILLS, database=database)
    assert verdict.complaints == []
    assert verdict.accepted > KILLS * 10
    assert verdict.reclaimed_s
    assert share(verdict.reclaimed_s, 99) < RECLAIM_S


def test_oracle_notices_nodes_that_acknowledge_before_their_commit(tmp_path: Path) -> None:
    verdict = run_kills(tmp_path, 6, program=planted(acknowledge_before_commit), drain_s=30)
    assert [text for text in verdict.complaints if text.startswith("I1")]


def test_oracle_notices_nodes_that_take_the_jobs_of_living_ones(tmp_path: Path) -> None:
    verdict = run_kills(tmp_path, 1, program=planted(rescue_while_running), drain_s=30)
    assert [text for text in verdict.complaints if text.startswith("I3")]


def run_kills(
    folder: Path,
    count: int,
    *,
    database: OfItsOwn = postgres_of_its_own,
    program: Sequence[str] = PROGRAM,
    drain_s: float = 90,
) -> Verdict:
    """Strike `count` times under load; the verdict."""
    chance = seeded_chance()
    with (
        database() as server,
        recorders(folder, TARGET_S) as load,
        cluster_on(folder, server, NODES, program=program) as cluster,
    ):
        with load.on(cluster.ports, RATE):
            for _ in range(count):
                load.wait_for_work(chance.randint(10, 200))
                strike(chance, cluster, server)
        verdict = cluster.judge(drain_s)
    nodes = sum(bool(fault.node) for fault in cluster.faults)
    print(f"{count} strikes, {nodes} kills of nodes, {len(cluster.faults) - nodes} of the database: {verdict}")
    return verdict


def strike(chance: random.Random, cluster: Cluster, database: DatabaseServer) -> None:
    """Kill nodes, or the database, or both, and start them again."""
    what = chance.choice(("nodes", "nodes", "database", "both"))
    names = [] if what == "database" else some_nodes(chance, cluster)
    cluster.kill(*names)
    if what != "nodes":
        cluster.struck()
        database.restart()
    if names:
        cluster.start(*names)
