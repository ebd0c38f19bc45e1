"""A TCP proxy between two programs that a test controls: it can be slow, stand still, or cut what it carries."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Delay = Callable[[bytes], float]
"""Seconds to hold back what has come from the server, told from its bytes."""

PIECE = 65536


class Proxy:
    """Carries connections to a port of this machine, in a thread of its own."""

    def __init__(self, server: int, new_delay: Callable[[], Delay] = lambda: lambda _: 0.0) -> None:
        self.port = 0
        self._server_port = server
        self._new_delay = new_delay
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._listener = self._call(self._listen())

    def hold(self) -> None:
        """Carry nothing until `release`; connections stay open, as on a network that has gone silent."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.set)

    def cut(self) -> None:
        """Close all connections, without carrying what was held."""
        self._call(self._cut())

    def close(self) -> None:
        self._listener.close()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> asyncio.Server:
        self._flows.set()
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = listener.sockets[0].getsockname()[1]
        return listener

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._join(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry both ways until one side has closed."""
        its_reader, its_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        delay = self._new_delay()
        ways = {
            asyncio.ensure_future(self._carry(reader, its_writer, lambda _: 0.0)),
            asyncio.ensure_future(self._carry(its_reader, writer, delay)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            its_writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Delay) -> None:
        while piece := await reader.read(PIECE):
            if seconds := delay(piece):
                await asyncio.sleep(seconds)
            await self._flows.wait()
            writer.write(piece)
            await writer.drain()


@contextmanager
def proxy_to(server: int, new_delay: Callable[[], Delay] = lambda: lambda _: 0.0) -> Iterator[Proxy]:
    """A proxy to a port; `new_delay` makes for each connection what holds back its server's bytes."""
    proxy = Proxy(server, new_delay)
    try:
        yield proxy
    finally:
        proxy.close()
