"""Nodes wake each other."""

import asyncio

import pytest

from queue_server.clock import ServerClock
from queue_server.store.postgres.address import parse_address
from queue_server.store.postgres.signals import Signals
from queue_server.store.postgres.store import PostgresStore
from tests.builders.jobs import NOW, new_job
from tests.builders.rules import cancelling
from tests.builders.stores import add_and_claim, amend_one


class Ears:
    """What is heard, and an event for the first of it."""

    def __init__(self) -> None:
        self.arrivals: list[int] = []
        self.others = 0
        self.has_heard = asyncio.Event()

    def arrival(self, run_at: int) -> None:
        self.arrivals.append(run_at)
        self.has_heard.set()

    def other(self) -> None:
        self.others += 1
        self.has_heard.set()


async def test_signals_that_come_together_are_one_with_the_earliest_time(backend):
    ears, own = Ears(), Ears()
    listening = Signals(parse_address(backend.url), ears.arrival, ears.other)
    sending = Signals(parse_address(backend.url), own.arrival, own.other)
    listening.start(1)
    sending.start(2)
    async with asyncio.timeout(10):
        while not ears.arrivals:
            for run_at in (9, 5, 7):
                sending.tell_arrival(run_at)
            await asyncio.sleep(0.05)
        ears.has_heard.clear()
        sending.tell_other()
        await ears.has_heard.wait()
    assert set(ears.arrivals) == {5}
    assert ears.others == 1
    assert own.arrivals == []
    for one in (listening, sending):
        await one.stop()


@pytest.mark.parametrize("listen", ["on", "off"])
async def test_wish_reaches_the_node_that_runs_the_job(backend, listen):
    """With signals or by looking."""
    url = f"{backend.url}?listen={listen}"
    clock = ServerClock()
    runs, asks = [await PostgresStore.open(url, clock) for _ in range(2)]
    now = clock.now()
    node = await runs.register("runs", 9, now)
    await asks.register("asks", 9, now)
    heard: asyncio.Future[tuple[int, int, str]] = asyncio.get_running_loop().create_future()
    runs.on_cancel(lambda *wish: heard.set_result(wish))
    job = await add_and_claim(runs, node, new_job(now=now))
    await amend_one(asks, job.id, cancelling("enough", now=now))
    assert await asyncio.wait_for(heard, 10) == (job.id, job.claim_seq, "enough")
    for store in (runs, asks):
        await store.close()


async def test_message_reaches_the_other_node(backend):
    clock = ServerClock()
    one, other = [await PostgresStore.open(backend.url, clock) for _ in range(2)]
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    other.on_relayed(lambda body: heard.done() or heard.set_result(body))
    for store in (one, other):
        await store.register("n", 9, clock.now())
    other.want_relayed(True)
    async with asyncio.timeout(10):
        while not heard.done():
            one.relay(b"news")
            await asyncio.sleep(0.02)
    assert heard.result() == b"news"
    for store in (one, other):
        await store.close()


async def test_nodes_work_without_prepared_statements_and_signals(backend):
    store = await PostgresStore.open(f"{backend.url}?prepared=off&listen=off", ServerClock())
    node = await store.register("here", 9, NOW)
    job = await add_and_claim(store, node, new_job())
    assert (await store.get(job.id)).node_id == node.id
    await store.close()
