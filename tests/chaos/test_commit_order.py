"""No acceptance leaves a node before the database's answer to its commit has arrived.

A proxy holds back for a moment each answer that ends a transaction: no add may be answered sooner than that.
"""

import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from tests.chaos.cluster import DATABASE, cluster_on, other_port
from tests.chaos.database_server import postgres_of_its_own
from tests.chaos.load import rounds
from tests.chaos.planting import planted
from tests.chaos.postgres_variants import acknowledge_before_commit
from tests.chaos.proxy import Delay, proxy_to
from tests.support.databases import run_sql
from tests.support.server import PROGRAM
from tests.support.waiting import until

ADDS = rounds("CHAOS_ADDS", 2000)
CLIENTS = 16
HELD_S = 0.05
pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + ADDS // 20)]


def test_no_acceptance_is_sent_before_its_commit_is_answered(tmp_path: Path) -> None:
    early, fastest = run_adds(tmp_path, ADDS)
    print(
        f"{ADDS} acceptances, {early} before the commit's answer, which was held back for {HELD_S * 1000:.0f} ms; the "
        f"fastest took {fastest * 1000:.1f} ms"
    )
    assert early == 0


def test_order_notices_a_node_that_acknowledges_before_its_commit(tmp_path: Path) -> None:
    early, _ = run_adds(tmp_path, 100 * CLIENTS, program=planted(acknowledge_before_commit))
    assert early > 0


def run_adds(folder: Path, count: int, *, program: Sequence[str] = PROGRAM) -> tuple[int, float]:
    """How many of so many acceptances came too early, and the seconds of the fastest."""
    with postgres_of_its_own() as database, proxy_to(database.port, delay_of_ends) as proxy:
        db = other_port(f"{database.url}/{DATABASE}?sslmode=disable", proxy.port)
        with cluster_on(folder, database, 1, db=db, program=program) as cluster:
            with ThreadPoolExecutor(CLIENTS) as clients:
                shares = clients.map(lambda _: add_jobs(cluster.ports[0], count // CLIENTS), range(CLIENTS))
                times = [seconds for share in shares for seconds in share]
            counted = f"select count(*) = {count} from job"
            until(lambda: run_sql(f"{database.url}/{DATABASE}", counted)[0][0], 10, "every job in the database")
    return sum(seconds < HELD_S for seconds in times), min(times)


def add_jobs(port: int, count: int) -> list[float]:
    """Seconds that each took, from before it was sent until its answer was read."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    job = json.dumps({"command": {"type": "http", "url": "http://127.0.0.1:9/"}, "delay": 86_400})
    marks = [time.monotonic()]
    for _ in range(count):
        connection.request("POST", "/jobs/add", job, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        response.read()
        marks.append(time.monotonic())
    connection.close()
    return [later - earlier for earlier, later in pairwise(marks)]


def delay_of_ends() -> Delay:
    """Holds back what tells that a connection is in no transaction (any more): the answer to a commit, among others.

    PostgreSQL's messages are a letter, a length that counts itself, and a body; ReadyForQuery is `Z` with the state.
    """
    rest = b""

    def delay(piece: bytes) -> float:
        nonlocal rest
        rest += piece
        ends = False
        while len(rest) >= 5 and len(rest) > (length := int.from_bytes(rest[1:5])):
            ends |= rest[:1] == b"Z" and rest[5:6] == b"I"
            rest = rest[length + 1 :]
        return HELD_S if ends else 0.0

    return delay
