"""Nodes that are restarted one after the other under load lose nothing and repeat nothing.

CHAOS_RESTARTS is how many restarts.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.cluster import cluster_on
from tests.chaos.database_server import postgres_of_its_own
from tests.chaos.load import recorders, rounds, seeded_chance

NODES = 3
RATE = 100
TARGET_S = 0.5
RESTARTS = rounds("CHAOS_RESTARTS", 9)
pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + 10 * RESTARTS)]


def test_rolling_restarts_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    chance = seeded_chance()
    with (
        postgres_of_its_own() as database,
        recorders(tmp_path, TARGET_S) as load,
        cluster_on(tmp_path, database, NODES, "--shutdown-grace", "30") as cluster,
    ):
        codes: Counter[int] = Counter()
        with load.on(cluster.ports, RATE):
            for number in range(RESTARTS):
                load.wait_for_work(chance.randint(10, 100))
                name = f"n{number % NODES + 1}"
                codes[cluster.nodes[name].stop(60)] += 1
                cluster.start(name)
        verdict = cluster.judge()
    print(f"{RESTARTS} rolling restarts: {verdict}")
    assert codes == {0: RESTARTS}
    assert verdict.complaints == []
    assert verdict.duplicates == 0
    assert verdict.reclaimed_s == []
