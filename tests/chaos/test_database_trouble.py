"""A database that restarts, ends connections, is full of idle sessions, or whose old rows are held by somebody.

CHAOS_IDLE_S is how long a transaction is held open (600 for the target's ten minutes).
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.chaos.cluster import DATABASE, Cluster, cluster_on
from tests.chaos.database_server import DatabaseServer, postgres_of_its_own
from tests.chaos.load import Load, recorders, rounds, seeded_chance
from tests.chaos.oracle import lines, share

NODES = 2
RATE = 40
"""Well below what the nodes can do on a busy machine, so that what is measured is what faults cost."""

TARGET_S = 0.05
RESTARTS = 5
RESTART_EVERY_S = 4.0
KILLING_S = 10.0
KILLS_A_SECOND = 50
SESSIONS = 300
KEPT_RATE = 0.95
RECOVERED_WITHIN_S = 5.0
MEASURED_S = 5.0

IDLE_S = rounds("CHAOS_IDLE_S", 60)
WORST_SLOWDOWN = 5
LEAST_P99_S = 0.05
"""What is below is fast whatever it is compared with: noise of a shared machine."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(600 + 2 * IDLE_S)]


def test_restarts_lost_connections_and_idle_sessions_end_no_node_and_cost_little_time(tmp_path: Path) -> None:
    chance = seeded_chance()
    with (
        postgres_of_its_own() as database,
        recorders(tmp_path, TARGET_S) as load,
        cluster_on(tmp_path, database, NODES) as cluster,
    ):
        with load.on(cluster.ports, RATE):
            load.wait_for_work(RATE)
            before = rate_in(load, MEASURED_S)
            with idle_sessions(database, SESSIONS):
                for _ in range(RESTARTS):
                    cluster.struck()
                    database.restart()
                    time.sleep(RESTART_EVERY_S * chance.random())  # the moment of the next fault is by chance
            after_restarts = rate_after_recovery(load)
            with idle_sessions(database, SESSIONS):
                end_connections(database, cluster)
                after_kills = rate_after_recovery(load)
            cluster.assert_all_live()
        verdict = cluster.judge()
    print(
        f"{before:.0f} requests/s before, {after_restarts:.0f}/s after {RESTARTS} restarts, {after_kills:.0f}/s after "
        f"{KILLING_S:.0f} s of ended connections, {SESSIONS} idle sessions: {verdict}"
    )
    assert verdict.complaints == []
    assert after_restarts >= KEPT_RATE * before
    assert after_kills >= KEPT_RATE * before


def rate_after_recovery(load: Load) -> float:
    """The target's requests a second from RECOVERED_WITHIN_S after now on."""
    time.sleep(RECOVERED_WITHIN_S)
    return rate_in(load, MEASURED_S)


def rate_in(load: Load, seconds: float) -> float:
    seen = load.seen()
    time.sleep(seconds)
    return (load.seen() - seen) / seconds


@contextmanager
def idle_sessions(database: DatabaseServer, count: int) -> Iterator[None]:
    """Others who are connected and do nothing; those that a restart ends are not replaced."""
    with _loop() as loop:

        async def connect() -> list[asyncpg.Connection]:
            return [await asyncpg.connect(f"{database.url}/{DATABASE}") for _ in range(count)]

        async def leave() -> None:
            for connection in connections:
                connection.terminate()
            await asyncio.sleep(0)  # for the loop to close them

        connections = asyncio.run_coroutine_threadsafe(connect(), loop).result(60)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(leave(), loop).result(60)


def end_connections(database: DatabaseServer, cluster: Cluster) -> None:
    """End connections of the nodes, KILLS_A_SECOND of those that there are, for KILLING_S."""
    one = (
        "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity "
        f"where application_name like 'queue-server%' order by random() limit {KILLS_A_SECOND // 10}) as chosen"
    )
    end = time.monotonic() + KILLING_S
    while time.monotonic() < end:
        cluster.struck()
        database.sql(one)
        time.sleep(0.1)


def test_a_transaction_that_is_held_open_does_not_slow_the_queue_down(tmp_path: Path) -> None:
    with (
        postgres_of_its_own() as database,
        recorders(tmp_path, TARGET_S) as load,
        cluster_on(tmp_path, database, NODES) as cluster,
    ):
        with load.on(cluster.ports, RATE):
            load.wait_for_work(5 * RATE)
            start = time.monotonic()
            time.sleep(min(IDLE_S, 30))
            with held_open(database):
                held = time.monotonic()
                time.sleep(IDLE_S)
                released = time.monotonic()
            time.sleep(min(IDLE_S, 30))
            end = time.monotonic()
        verdict = cluster.judge()
    phases = {
        "before": latencies(load, start, held),
        "held": latencies(load, held, released),
        "its last 20 s": latencies(load, max(held, released - 20), released),
        "after": latencies(load, released, end),
    }
    print(f"a transaction held for {IDLE_S} s: {verdict}")
    for name, (adds, starts) in phases.items():
        print(f"{name}: added in {shares(adds)}; at the target after {shares(starts)}")
    assert verdict.complaints == []
    for name in ("its last 20 s", "after"):
        for times, base in zip(phases[name], phases["before"], strict=True):
            assert share(times, 99) <= max(LEAST_P99_S, WORST_SLOWDOWN * share(base, 99)), name


def shares(seconds: list[float]) -> str:
    return ", ".join(f"{share(seconds, percent) * 1000:.1f} ms (p{percent})" for percent in (50, 99))


def latencies(load: Load, start: float, end: float) -> tuple[list[float], list[float]]:
    """Seconds that adding took, and from sending a job until its target saw it, of jobs that were sent in a time."""
    sent: dict[str, float] = {}
    adds: list[float] = []
    for line in lines(load.folder / "producer"):
        number = str(line["n"])
        if line["what"] == "sent" and start <= line["at"] < end:
            sent.setdefault(number, line["at"])
        elif line["what"] == "accepted" and number in sent:
            adds.append(line["at"] - sent[number])
    starts = [line["at"] - sent[line["n"]] for line in lines(load.folder / "target") if line["n"] in sent]
    return adds, starts


@contextmanager
def held_open(database: DatabaseServer) -> Iterator[None]:
    """A transaction that sees the database as it is now, and so keeps all rows that die from now on."""
    with _loop() as loop:

        async def begin() -> asyncpg.Connection:
            connection = await asyncpg.connect(f"{database.url}/{DATABASE}")
            await connection.execute("begin isolation level repeatable read")
            await connection.fetch("select count(*) from job")
            return connection

        connection = asyncio.run_coroutine_threadsafe(begin(), loop).result(60)
        yield
        asyncio.run_coroutine_threadsafe(connection.close(), loop).result(60)


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread, for connections that stay."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
