"""Connections that break, and a database that is not there for a while."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreUnavailable
from queue_server.domain.state import State
from queue_server.store.postgres.address import parse_address
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import WRITING
from queue_server.store.postgres.store import PostgresStore
from tests.builders.jobs import NOW, new_job
from tests.builders.postgres_backend import looker
from tests.builders.stores import all_jobs

KILL = """select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and application_name = 'queue-server'"""


class Way:
    """A way to the database that can be cut."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._wires: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return self._to._replace(netloc=f"{self._to.username}@127.0.0.1:{self.port}").geturl()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        self._server.close()
        for wire in self._wires:
            wire.transport.abort()
        self._wires.clear()

    async def _lead(self, reader, writer) -> None:
        inward, outward = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._wires |= {writer, outward}
        with suppress(OSError):
            await asyncio.gather(self._copy(reader, outward), self._copy(inward, writer))

    @staticmethod
    async def _copy(reader, writer) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def way_to(url):
    way = Way(url)
    await way.open()
    try:
        yield way
    finally:
        await way.cut()


async def until_it_answers(store) -> None:
    async with asyncio.timeout(15):
        while True:
            with suppress(StoreUnavailable):
                await store.counts()
                await store.add([])
                await store.turn((), None)
                return
            await asyncio.sleep(0.02)


async def test_every_acknowledged_job_is_there_however_often_connections_are_killed(store, backend):
    acknowledged: list[int] = []
    refused = 0

    async def add() -> None:
        nonlocal refused
        for _ in range(60):
            try:
                acknowledged.extend(await store.add([new_job()]))
            except StoreUnavailable:
                refused += 1
                await asyncio.sleep(0.01)

    async def kill() -> None:
        for _ in range(5):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(looker(backend.url).rows, KILL)

    await asyncio.gather(*(add() for _ in range(8)), kill())
    await until_it_answers(store)
    stored = {record.id for record in await all_jobs(store)}
    assert set(acknowledged) <= stored
    assert refused, "something was killed"
    assert await store.counts() == backend.recount()


async def test_adds_fail_soon_while_the_database_is_away_and_go_on_when_it_is_back(backend):
    async with way_to(backend.url) as way:
        store = await PostgresStore.open(way.url, ServerClock())
        await store.register("here", 9, NOW)
        (first,) = await store.add([new_job()])
        await way.cut()
        started = time.monotonic()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await store.add([new_job()])
            with pytest.raises(StoreUnavailable):
                await store.get(first)
        assert time.monotonic() - started < 3
        await way.open()
        await until_it_answers(store)
        async with asyncio.timeout(15):
            while True:
                with suppress(StoreUnavailable):
                    (last,) = await store.add([new_job()])
                    break
                await asyncio.sleep(0.02)
        assert last > first
        await store.close()
    assert backend.recount()[State.AVAILABLE] >= 2


async def test_heartbeat_says_when_it_can_not_be_written_and_goes_on_later(backend):
    async with way_to(backend.url) as way:
        store = await PostgresStore.open(way.url, ServerClock())
        node = await store.register("here", 9, NOW)
        heartbeat = store.heartbeat(node.id)
        await asyncio.to_thread(heartbeat.beat, NOW + 1)
        await way.cut()
        with pytest.raises(StoreUnavailable):
            await asyncio.to_thread(heartbeat.beat, NOW + 2)
        await way.open()
        await asyncio.to_thread(heartbeat.beat, NOW + 3)
        await store.close()
    assert looker(backend.url).rows("select beat_at from node")[0][0] == NOW + 3


async def test_heartbeat_brings_a_row_back_that_somebody_deleted(store, node, backend):
    looker(backend.url).run("delete from node")
    await asyncio.to_thread(store.heartbeat(node.id).beat, NOW + 7)
    assert [
        tuple(row) for row in looker(backend.url).rows("select id, name, slots, started_at, beat_at from node")
    ] == [(node.id, "here", 100, NOW, NOW + 7)]


async def test_cancelled_caller_does_not_take_its_transaction_back(store, backend):
    adding = asyncio.ensure_future(store.add([new_job()]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    await store.add([new_job()])
    await store.close()
    assert backend.recount()[State.AVAILABLE] == 2


async def test_commit_that_gave_up_waiting_for_its_standby_is_not_accepted(backend):
    """The server says so with a warning of this state, beside its success."""
    pool = Pool(parse_address(backend.url), WRITING, 1)
    warn = "do $$ begin raise warning 'canceling wait for synchronous replication' using errcode = '01000'; end $$"
    with pytest.raises(StoreUnavailable, match="whether it was stored is unknown"):
        await pool.transact(lambda session: session.script(warn))
    with pytest.raises(StoreUnavailable, match="whether it was stored is unknown"):
        await pool.do(lambda session: session.script(warn))
    await pool.do(lambda session: session.script("select 1"))
    await pool.close()
