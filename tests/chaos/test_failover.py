"""The primary dies and its synchronous standby takes over: nothing that was acknowledged is lost, and nodes go on.

A moment before, the link between the two goes silent, so that what was not waited for is certainly not there.
CHAOS_FAILOVERS is how often.
"""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.cluster import DATABASE, cluster_on
from tests.chaos.database_server import (
    make_synchronous,
    postgres_of_its_own,
    promote,
    standby_of,
    wait_for_standby,
)
from tests.chaos.load import Load, recorders, rounds, seeded_chance
from tests.chaos.oracle import Verdict, lines
from tests.chaos.proxy import proxy_to
from tests.support.server import free_port
from tests.support.waiting import until

NODES = 2
RATE = 60
TARGET_S = 0.1
WRITING_AGAIN_S = 10.0
LONGEST_SILENCE_S = 0.5
FAILOVERS = rounds("CHAOS_FAILOVERS", 3)
pytestmark = [pytest.mark.long, pytest.mark.timeout(300 + 60 * FAILOVERS)]


def test_failover_to_a_synchronous_standby_loses_nothing_and_is_soon_over(tmp_path: Path) -> None:
    verdict, outages = run_failovers(tmp_path, FAILOVERS, is_synchronous=True)
    assert verdict.complaints == []
    assert max(outages) < WRITING_AGAIN_S


def test_oracle_notices_a_standby_that_nobody_waits_for(tmp_path: Path) -> None:
    verdict, _ = run_failovers(tmp_path, 1, is_synchronous=False, drain_s=30)
    assert [text for text in verdict.complaints if text.startswith("I1")]


def run_failovers(
    folder: Path, count: int, *, is_synchronous: bool, drain_s: float = 90
) -> tuple[Verdict, list[float]]:
    """Fail over `count` times; the verdict, and the seconds from each promotion to the first job that was accepted."""
    chance, outages = seeded_chance(), list[float]()
    with ExitStack() as stack:
        primary = stack.enter_context(postgres_of_its_own())
        ports = (primary.port, free_port())
        db = f"postgresql://postgres@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/{DATABASE}"
        load = stack.enter_context(recorders(folder, TARGET_S))
        cluster = stack.enter_context(cluster_on(folder, primary, NODES, db=db))
        with load.on(cluster.ports, RATE):
            for number in range(1, count + 1):
                link = stack.enter_context(proxy_to(primary.port))
                standby = stack.enter_context(standby_of(primary, port=ports[number % 2], through=link.port))
                if is_synchronous:
                    make_synchronous(primary)
                else:
                    wait_for_standby(primary, "async")
                load.wait_for_work(chance.randint(20, 150))
                link.hold()
                time.sleep(chance.random() * LONGEST_SILENCE_S)  # the moment of the fault is by chance
                cluster.struck()
                primary.kill()
                link.cut()
                promote(standby)
                outages.append(seconds_to_the_next_job(load))
                cluster.assert_all_live()
                primary = standby
        cluster.look_at = f"{primary.url}/{DATABASE}"
        verdict = cluster.judge(drain_s)
    print(f"{count} failovers: {verdict}; writing again {max(outages):.1f} s after promotion (worst)")
    return verdict, outages


def seconds_to_the_next_job(load: Load) -> float:
    """Seconds from now to the moment at which the producer has a job accepted."""
    start = time.monotonic()

    def accepted() -> list[float]:
        answers = (line for line in lines(load.folder / "producer") if line["what"] == "accepted")
        return [line["at"] for line in answers if line["at"] > start]

    return until(accepted, 60, "a job that is accepted")[0] - start
