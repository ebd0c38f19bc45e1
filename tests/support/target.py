"""An HTTP server that records every request and answers as it is told, path by path."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from tests.support.waiting import until


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    connection: int
    at: float

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} was sent {len(values)} times"
        return values[0] if values else None


@dataclass(frozen=True)
class Reply:
    """`raw` is sent instead of a head and body. `pieces` follow the head as they come. `delay` comes first."""

    status: int = 200
    body: bytes = b"ok"
    headers: Sequence[tuple[str, str]] = ()
    delay: float = 0
    raw: bytes | None = None
    pieces: Callable[[], Iterator[bytes]] | None = None
    is_chunked: bool = False
    never: bool = False
    close: bool = False
    hold: threading.Event | None = field(default=None, compare=False)


OK = Reply()
NEVER = Reply(never=True)


class Target:
    """Runs in a thread of its own until closed."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.open = 0
        self.port = 0
        self._replies: dict[str, list[Reply]] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="target", daemon=True)
        self._thread.start()
        self.listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, path: str, *replies: Reply) -> str:
        """Answer requests of `path` with these replies in turn, the last for ever; the whole url."""
        self._replies[path] = list(replies) or [OK]
        return self.url + path

    def of(self, path: str) -> list[Request]:
        """The requests of a path so far."""
        return [request for request in list(self.requests) if request.path == path]

    def wait(self, path: str, count: int = 1, within_s: float = 15) -> list[Request]:
        """The requests of a path as soon as there are `count`."""
        until(lambda: self._counts[path] >= count, within_s, f"{count} requests of {path} (there are {self.of(path)})")
        return self.of(path)

    def listen(self) -> None:
        """Accept connections (again), on the same port."""
        self._call(self._listen())

    def refuse(self) -> None:
        """Refuse connections until `listen`."""
        self._call(self._refuse())

    def close(self) -> None:
        self._call(self._refuse())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=4096, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            await self._converse(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        async for request in _requests(reader, number):
            count = self._counts[request.path]
            replies = self._replies.get(request.path, [OK])
            self.requests.append(request)
            self._counts[request.path] = count + 1
            if not await _answer(replies[min(count, len(replies) - 1)], request, reader, writer):
                return


async def _requests(reader: asyncio.StreamReader, number: int) -> AsyncIterator[Request]:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
        line, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = line.split(" ")
        headers = [(name, value.strip()) for name, _, value in (text.partition(":") for text in lines)]
        body = await reader.readexactly(int({name.lower(): value for name, value in headers}.get("content-length", 0)))
        yield Request(method, target, headers, body, number, time.monotonic())


async def _answer(reply: Reply, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection may be used again."""
    if reply.delay:
        await asyncio.sleep(reply.delay)
    if reply.hold is not None:
        await asyncio.get_running_loop().run_in_executor(None, reply.hold.wait, 60)
    if reply.never:
        await reader.read()  # until the client goes away
        return False
    if reply.raw is not None:
        writer.write(reply.raw)
        await writer.drain()
        return False
    writer.write(_head(reply))
    if reply.pieces is None:
        writer.write(b"" if request.method == "HEAD" else reply.body)
    else:
        for piece in reply.pieces():
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.is_chunked else piece)
            await writer.drain()
        if reply.is_chunked:
            writer.write(b"0\r\n\r\n")
    await writer.drain()
    return not reply.close


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Reply", *(f"{name}: {value}" for name, value in reply.headers)]
    if reply.is_chunked:
        lines.append("Transfer-Encoding: chunked")
    elif reply.pieces is None and not any(name.lower() == "content-length" for name, _ in reply.headers):
        lines.append(f"Content-Length: {len(reply.body)}")
    if reply.close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@contextmanager
def running_target() -> Iterator[Target]:
    target = Target()
    try:
        yield target
    finally:
        with suppress(TimeoutError):
            target.close()
