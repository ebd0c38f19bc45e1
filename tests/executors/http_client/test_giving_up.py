"""Time limits and cancellation, in each step of a request."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from queue_server.executors.http_client.failures import RequestTimedOut
from queue_server.executors.http_client.response import Response
from tests.executors.http_client.lab import PATIENCE_S, Visit, client, fetch, sockets, target


async def silent(visit: Visit) -> None:
    """Takes the request and says nothing."""
    await visit.request()
    await visit.end()


async def half(visit: Visit) -> None:
    await visit.request()
    await visit.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    await visit.end()


async def half_a_head(visit: Visit) -> None:
    await visit.request()
    await visit.answer(b"HTTP/1.1 200 OK\r\nContent-")
    await visit.end()


async def deaf(visit: Visit) -> None:
    """Accepts and reads nothing but what TLS would send first."""
    await visit.end()


WAITING = "timed out after 0.1 s while waiting for the response of 127.0.0.1:%d"


@pytest.mark.parametrize(
    ("handler", "words", "kept"),
    [
        (silent, WAITING, b""),
        (half_a_head, WAITING, b""),
        (half, "timed out after 0.1 s while reading the response of 127.0.0.1:%d (4 bytes came)", b"half"),
    ],
)
async def test_time_limit_names_the_step(handler: Callable[[Visit], Awaitable[None]], words: str, kept: bytes) -> None:
    async with target(handler) as place, client() as sender:
        response = Response(1024)
        with pytest.raises(RequestTimedOut) as caught:
            await fetch(sender, place.url, time_limit=0.1, response=response)
        assert str(caught.value) == words % place.port
        assert response.text == kept


async def test_trickle_does_not_extend_the_time_limit() -> None:
    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await visit.answer(b"x")
            await asyncio.sleep(0.001)

    async with target(handler) as place, client() as sender:
        with pytest.raises(RequestTimedOut, match="while reading"):
            await fetch(sender, place.url, time_limit=0.1)


@pytest.mark.parametrize(("connect_timeout", "time_limit"), [(0.1, 60), (60, 0.1)])
async def test_time_limit_of_the_tls_handshake_is_that_of_connecting(connect_timeout: float, time_limit: float) -> None:
    async with target(deaf) as place, client(connect_timeout) as sender:
        with pytest.raises(RequestTimedOut) as caught:
            await fetch(sender, f"https://127.0.0.1:{place.port}/", time_limit=time_limit)
        assert str(caught.value) == f"timed out while connecting to 127.0.0.1:{place.port}"


@pytest.mark.parametrize(("connect_timeout", "time_limit"), [(0.1, 60), (60, 0.1)])
async def test_time_limit_of_resolving_is_that_of_connecting(
    monkeypatch: pytest.MonkeyPatch, connect_timeout: float, time_limit: float
) -> None:
    async with client(connect_timeout) as sender:
        resolves(monkeypatch, sender, asyncio.Event())
        with pytest.raises(RequestTimedOut) as caught:
            await fetch(sender, "http://slow.example:81/", time_limit=time_limit)
        assert str(caught.value) == "timed out while connecting to slow.example:81"


class Loop:
    """The running loop with another resolver: uvloop's own can't be patched."""

    def __init__(self, getaddrinfo: Callable[..., Awaitable[Any]]) -> None:
        self.getaddrinfo = getaddrinfo

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)


def resolves(monkeypatch: pytest.MonkeyPatch, sender: Any, begun: asyncio.Event) -> None:
    """Names are looked up for ever."""

    async def getaddrinfo(*_: object, **__: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setitem(sender._pool.__dict__, "_loop", Loop(getaddrinfo))


class FullBacklog:
    """A listener that accepts nobody: connecting to it takes for ever."""

    def __enter__(self) -> int:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.waiting = [socket.socket() for _ in range(4)]
        for one in self.waiting:
            one.setblocking(False)
            one.connect_ex(self.listener.getsockname())
        return self.listener.getsockname()[1]

    def __exit__(self, *_: object) -> None:
        for one in (self.listener, *self.waiting):
            one.close()


@pytest.mark.parametrize(("connect_timeout", "time_limit"), [(0.1, 60), (60, 0.1)])
async def test_time_limit_of_connecting_is_named_and_leaves_no_socket(
    connect_timeout: float, time_limit: float
) -> None:
    with FullBacklog() as port:
        async with client(connect_timeout) as sender:
            before = sockets()
            with pytest.raises(RequestTimedOut) as caught:
                await fetch(sender, f"http://127.0.0.1:{port}/", time_limit=time_limit)
            assert str(caught.value) == f"timed out while connecting to 127.0.0.1:{port}"
            await gone(before)


async def gone(before: set[str]) -> None:
    """Waits until no more sockets are open than were."""
    async with asyncio.timeout(1):
        while sockets() - before:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(("step", "scheme"), [(silent, "http"), (half_a_head, "http"), (half, "http"), (deaf, "https")])
async def test_cancelled_request_ends_its_connection_at_once(
    step: Callable[[Visit], Awaitable[None]], scheme: str
) -> None:
    """In a TLS handshake, while waiting and while reading."""
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def handler(visit: Visit) -> None:
        if step is deaf:
            await visit.reader.read(1)
            arrived.set()
            await visit.end()
        else:
            asyncio.get_running_loop().call_soon(arrived.set)
            with suppress(ConnectionError):
                await step(visit)
        ended.set()

    async with target(handler) as place, client() as sender:
        task = asyncio.ensure_future(fetch(sender, f"{scheme}://127.0.0.1:{place.port}/"))
        async with asyncio.timeout(PATIENCE_S):
            await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await ended.wait()
        assert not sender._pool._idle


async def test_cancelled_while_connecting_leaves_no_socket() -> None:
    with FullBacklog() as port:
        async with client() as sender:
            before = sockets()
            task = asyncio.ensure_future(fetch(sender, f"http://127.0.0.1:{port}/"))
            async with asyncio.timeout(PATIENCE_S):
                while not sockets() - before:
                    await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await gone(before)


async def test_cancelled_at_any_moment_leaves_no_socket_and_no_half_used_connection() -> None:
    """Cancelled after each number of turns of the loop that the request can take."""

    async def handler(visit: Visit) -> None:
        while True:
            number = (await visit.request()).split(b"/")[1].split()[0]
            await visit.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(number), number))

    async with target(handler) as place:
        before = sockets()
        async with client() as sender:
            for turns in range(120):
                task = asyncio.ensure_future(fetch(sender, f"{place.url}/{turns}"))
                for _ in range(turns % 30):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    assert (await task).text == str(turns).encode()
                assert (await fetch(sender, f"{place.url}/next{turns}")).text == f"next{turns}".encode()
        await gone(before)


async def test_cancelled_while_resolving_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()
    async with client() as sender:
        resolves(monkeypatch, sender, begun)
        task = asyncio.ensure_future(fetch(sender, "http://slow.example/"))
        async with asyncio.timeout(PATIENCE_S):
            await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_timeout_around_a_request_is_not_swallowed() -> None:
    with FullBacklog() as port:
        async with client() as sender:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await fetch(sender, f"http://127.0.0.1:{port}/")
