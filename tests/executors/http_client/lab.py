"""Targets that do on real sockets what a test says, and requests to them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from queue_server.domain.target_items import Mode
from queue_server.domain.targets import Surroundings, Targets, read_limits
from queue_server.executors.http_client.client import Client, Message
from queue_server.executors.http_client.connection import Connection
from queue_server.executors.http_client.origin import resource_of
from queue_server.executors.http_client.response import Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_S = 10
"""How long a test waits for what must come."""


class Visit:
    """One connection as its target sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number

    async def request(self) -> bytes:
        """The next request's head and body; IncompleteReadError when the connection ends first."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
        return head + await self.reader.readexactly(length)

    async def answer(self, data: bytes = OK) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with RST."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self.writer.get_extra_info("socket").setsockopt(1, 13, linger)  # SOL_SOCKET, SO_LINGER
        self.writer.transport.abort()

    async def end(self) -> None:
        """Returns when the client has ended the connection, by whichever way."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


class Target:
    """A listening target and what came to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.visits = 0
        self.requests: list[bytes] = []


Handler = Callable[[Visit], Awaitable[None]]


@asynccontextmanager
async def target(handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    """A target that treats each connection as `handler` says."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        made.visits += 1
        try:
            await handler(Visit(reader, writer, made.visits))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    listener = await asyncio.start_server(serve, host, 0, ssl=tls)
    made = Target(listener.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes) -> Handler:
    """Gives each request of a connection the next answer, then closes."""

    async def handler(visit: Visit) -> None:
        for answer in answers:
            await visit.request()
            await visit.answer(answer)

    return handler


def always(answer: bytes = OK) -> Handler:
    """Gives each request the same answer for ever."""

    async def handler(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.answer(answer)

    return handler


def on_loopback(mode: Mode = "internal", allow: Sequence[str] = (), deny: Sequence[str] = (), **around: Any) -> Targets:
    """Where the jobs of a server that is bound to loopback may go."""
    return Targets(read_limits(mode, allow, deny), Surroundings(**around))


@asynccontextmanager
async def client(connect_timeout: float = 5, targets: Targets | None = None) -> AsyncIterator[Client]:
    """A client that may go where those of a server on loopback may, unless `targets` says otherwise."""
    made = Client(connect_timeout, targets or on_loopback())
    try:
        yield made
    finally:
        made.close()
        await rest()


async def rest() -> None:
    """Lets transports that are being closed finish."""
    for _ in range(5):
        await asyncio.sleep(0)


async def fetch(
    sender: Client,
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    *,
    time_limit: float = PATIENCE_S,
    response: Response | None = None,
) -> Response:
    """One request with few headers."""
    response = Response(1024 * 1024) if response is None else response
    await sender.send(message(url, method, body), response, time_limit)
    return response


def message(url: str, method: str = "GET", body: bytes | None = None) -> Message:
    resource = resource_of(url)
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    head = f"{method} {resource.target} HTTP/1.1\r\nHost: {resource.origin.place}\r\n{length}\r\n"
    return Message(method, resource, head.encode() + (body or b""))


async def once(answer: bytes, method: str = "GET") -> Response:
    """The response that a client makes of these bytes, after which the target closes."""
    async with target(answering(answer)) as place, client() as sender:
        return await fetch(sender, place.url, method)


class Wire(asyncio.Transport):
    """A transport to nowhere, for tests that hand a connection its pieces themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def write(self, data: bytes) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.is_closed = True


async def exchanged(pieces: list[bytes], *, is_head: bool = False, ends: bool = False) -> tuple[Response, Connection]:
    """What a connection makes of a response that comes in these pieces."""
    connection, response = wired(), Response(1024 * 1024)
    await exchange_on(connection, response, pieces, is_head=is_head, ends=ends)
    return response, connection


def wired() -> Connection:
    connection = Connection(asyncio.get_running_loop())
    connection.connection_made(Wire())
    return connection


async def exchange_on(
    connection: Connection, response: Response, pieces: list[bytes], *, is_head: bool = False, ends: bool = False
) -> None:
    task = asyncio.ensure_future(connection.exchange(b"", response, is_head=is_head))
    await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    if ends:
        connection.eof_received()
        connection.connection_lost(None)
    async with asyncio.timeout(PATIENCE_S):
        await task


def sockets() -> set[str]:
    """The sockets that this process has open."""
    found: set[str] = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            name = str(entry.readlink())
            if name.startswith("socket:"):
                found.add(name)
    return found
