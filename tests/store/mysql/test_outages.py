"""A database that can't be reached for a while: through a proxy that the test can cut."""

import asyncio
import contextlib
import time

import pytest

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreUnavailable
from queue_server.store.mysql.address import parse_address
from queue_server.store.mysql.store import MysqlStore
from tests.builders.jobs import NOW, new_job
from tests.builders.stores import claim


class Proxy:
    """Passes bytes on to the database; `cut` ends all connections and takes no new ones until `mend`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._writers.clear()
        self._tasks.clear()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        self._writers += [writer, there_writer]
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            self._tasks.append(asyncio.ensure_future(_pass(source, sink)))


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@pytest.fixture
def proxy(backend, runner):
    """A proxy before the backend's server."""
    ((host, port),) = parse_address(backend.url).hosts
    made = Proxy(host, port)
    runner.run(made.mend())
    yield made
    runner.run(made.cut())


@pytest.fixture
def distant(backend, proxy, runner):
    """A store behind the proxy."""
    name = backend.url.rpartition("/")[2]
    store = runner.run(MysqlStore.open(f"mysql://root@127.0.0.1:{proxy.port}/{name}", ServerClock()))
    yield store
    runner.run(store.close())


async def test_outage_refuses_work_at_once_and_ends_by_itself(distant, proxy, backend):
    node = await distant.register("far", 9, NOW)
    (first,) = await distant.add([new_job()])
    await proxy.cut()
    started = time.monotonic()
    works = [*(distant.add([new_job()]) for _ in range(50)), distant.get(first), distant.counts(), claim(distant, node)]
    results = await asyncio.gather(*works, return_exceptions=True)
    assert all(isinstance(result, StoreUnavailable) for result in results), results
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(distant.heartbeat(node.id).beat, NOW)
    assert time.monotonic() - started < 3
    await proxy.mend()
    assert await _once_reachable(distant)
    await asyncio.to_thread(distant.heartbeat(node.id).beat, NOW + 1)
    assert await distant.get(first) is not None
    assert await distant.counts() == backend.recount()


async def test_connections_that_were_closed_while_idle_fail_nothing(distant, proxy):
    await distant.add([new_job()])
    assert await distant.get(1) is not None
    await proxy.cut()
    await proxy.mend()
    assert await distant.add([new_job()])
    assert await distant.get(1) is not None


async def test_work_of_a_caller_that_is_gone_is_finished(distant, backend):
    add = asyncio.ensure_future(distant.add([new_job()]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    add.cancel()
    await distant.close()
    assert sum(backend.recount().values()) == 1


async def _once_reachable(store):
    while True:
        with contextlib.suppress(StoreUnavailable):
            return await store.add([new_job()])
        await asyncio.sleep(0.02)
