"""Which connections are used again, and that none carries one job's response to another."""

import asyncio

import pytest

from queue_server.executors.http_client import pool as pool_module
from queue_server.executors.http_client.client import Client
from queue_server.executors.http_client.failures import ConnectionClosed
from queue_server.executors.http_client.response import Response
from tests.executors.http_client.lab import (
    OK,
    PATIENCE_S,
    Handler,
    Target,
    Visit,
    always,
    answering,
    client,
    exchanged,
    fetch,
    rest,
    sockets,
    target,
)

EVIL = b"HTTP/1.1 500 Evil\r\nX: y\r\nContent-Length: 4\r\n\r\nevil"


@pytest.mark.parametrize("junk", [EVIL, EVIL[:12], b"H", b"\0", b"junk\r\n\r\n", EVIL[:-2], b"\r\n\r\n" + EVIL])
async def test_what_follows_a_response_is_neither_in_it_nor_answers_the_next_request(junk: bytes) -> None:
    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer(OK + junk)
        await visit.request()
        await visit.answer(EVIL)

    async with target(handler) as place, client() as sender:
        for number in range(1, 4):
            response = await fetch(sender, place.url)
            assert (response.status, response.text, response.size) == (200, b"ok", 2)
            assert place.visits == number


@pytest.mark.parametrize("whole", [OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"])
@pytest.mark.parametrize("junk", [EVIL, b"H"])
async def test_junk_after_a_response_ends_the_connection_in_whatever_pieces_it_comes(whole: bytes, junk: bytes) -> None:
    data = whole + junk
    for cut in range(1, len(data)):
        response, connection = await exchanged([data[:cut], data[cut:]])
        assert (response.status, response.text) == (200, b"ok")
        assert not connection.is_reusable


async def test_junk_on_an_idle_connection_ends_it() -> None:
    send_junk, is_ended = asyncio.Event(), asyncio.Event()

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer()
        if visit.number == 1:
            await send_junk.wait()
            await visit.answer(EVIL)
        await visit.end()
        is_ended.set()

    async with target(handler) as place, client() as sender:
        await fetch(sender, place.url)
        send_junk.set()
        await in_time(is_ended)
        assert (await fetch(sender, place.url)).text == b"ok"
        assert place.visits == 2


async def in_time(event: asyncio.Event, within_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within_s):
        await event.wait()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=range(3),
)
async def test_connection_that_the_target_will_close_is_not_kept(answer: bytes) -> None:
    async with target(always(answer)) as place, client() as sender:
        for number in range(1, 4):
            assert (await fetch(sender, place.url)).text == b"ok"
            assert place.visits == number
        assert not sender._pool._idle


async def test_connection_is_used_again_and_only_for_its_origin() -> None:
    async with target(always()) as one, target(always()) as other, client() as sender:
        for _ in range(5):
            await fetch(sender, one.url)
            await fetch(sender, other.url, "POST", b"body")
        assert (one.visits, other.visits) == (1, 1)


def closing_after_one(*, by_reset: bool, requests: list[bytes]) -> Handler:
    """The first connection takes two requests but answers only one; later ones answer all."""

    async def handler(visit: Visit) -> None:
        requests.append(await visit.request())
        await visit.answer()
        requests.append(await visit.request())
        if visit.number > 1:
            await visit.answer()
        elif by_reset:
            visit.reset()

    return handler


@pytest.mark.parametrize("by_reset", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH"])
async def test_request_on_a_kept_connection_that_breaks_is_not_repeated(*, by_reset: bool, method: str) -> None:
    requests: list[bytes] = []
    async with target(closing_after_one(by_reset=by_reset, requests=requests)) as place, client() as sender:
        await fetch(sender, place.url)
        with pytest.raises(ConnectionClosed) as caught:
            await fetch(sender, place.url, method, b"body" if method in ("PUT", "POST", "PATCH") else None)
        why = "connection reset by peer" if by_reset else "the connection was closed"
        assert str(caught.value) == f"no proper response from 127.0.0.1:{place.port}: {why}"
        assert (place.visits, len(requests)) == (1, 2)


async def test_connection_that_was_unused_for_a_while_is_asked_whether_it_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "FRESH_S", 0)
    async with target(always()) as place, client() as sender:
        for _ in range(3):
            await fetch(sender, place.url)
        assert place.visits == 1


@pytest.mark.parametrize("by_reset", [False, True])
async def test_kept_connection_that_the_target_has_closed_is_replaced_even_for_post(*, by_reset: bool) -> None:
    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer()
        if by_reset:
            visit.reset()

    async with target(handler) as place, client() as sender:
        for number in range(1, 6):
            assert (await fetch(sender, place.url, "POST", b"x")).status == 200
            assert place.visits == number
            await dead(sender)


async def dead(sender: Client) -> None:
    """Waits until the kept connection has seen its end."""
    async with asyncio.timeout(PATIENCE_S):
        while any(one.is_reusable for idle in sender._pool._idle.values() for one in idle):
            await asyncio.sleep(0.001)


async def test_connection_whose_end_has_come_is_not_taken_before_it_is_lost() -> None:
    _, connection = await exchanged([OK])
    assert connection.is_reusable
    connection.eof_received()
    assert not connection.is_reusable


async def test_exchange_on_a_lost_connection_fails_at_once() -> None:
    _, connection = await exchanged([OK])
    connection.connection_lost(None)
    with pytest.raises(ConnectionClosed, match="the connection was closed"):
        await connection.exchange(b"", Response(10))


@pytest.mark.parametrize("is_closing", [False, True])
async def test_answer_before_the_request_is_sent_is_taken_and_its_connection_not_kept(*, is_closing: bool) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"

    async def handler(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        visit.writer.transport.pause_reading()
        await visit.answer(refusal)
        if not is_closing:
            visit.writer.transport.resume_reading()
            await visit.end()

    async with target(handler) as place, client() as sender:
        for number in range(1, 4):
            response = await fetch(sender, place.url, "POST", b"x" * 8_000_000)
            assert (response.status, response.text) == (413, b"big")
            assert place.visits == number
        assert not sender._pool._idle


async def test_refused_upload_of_a_mebibyte_shows_the_refusal() -> None:
    """Many times: the target's RST races with its answer."""
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig"

    async def handler(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.answer(refusal)

    async with target(handler) as place, client() as sender:
        for _ in range(30):
            assert (await fetch(sender, place.url, "POST", b"x" * 1_048_576)).status == 413


async def burst(sender: Client, place: Target, number: int = 100) -> None:
    await asyncio.gather(*(fetch(sender, place.url) for _ in range(number)))


async def test_parallel_requests_share_what_is_kept() -> None:
    async with target(always()) as place, client() as sender:
        await burst(sender, place)
        opened = place.visits
        await burst(sender, place)
        assert place.visits == opened <= 100


async def test_kept_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE_LIMIT", 10)
    async with target(always()) as place, client() as sender:
        await burst(sender, place)
        assert sum(map(len, sender._pool._idle.values())) == 10


async def test_idle_connections_are_closed_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE_S", 0.05)
    is_ended = asyncio.Event()

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer()
        await visit.end()
        is_ended.set()

    async with target(handler) as place, client() as sender:
        await fetch(sender, place.url)
        await in_time(is_ended)
        assert not sender._pool._idle
        assert sender._pool._sweep is None
        await fetch(sender, place.url)
        assert place.visits == 2


async def test_connection_that_was_idle_too_long_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async with target(always()) as place, client() as sender:
        await burst(sender, place, 3)
        opened = place.visits
        monkeypatch.setattr(pool_module, "IDLE_S", 0)
        await fetch(sender, place.url)
        assert place.visits == opened + 1


async def test_origins_without_kept_connections_are_forgotten() -> None:
    async with target(answering(b"HTTP/1.0 200 OK\r\n\r\n")) as place, client() as sender:
        await fetch(sender, place.url)
        assert not sender._pool._idle


async def test_idle_connection_keeps_nothing_of_its_last_response_alive() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    async with target(always(body)) as place, client() as sender:
        response = await fetch(sender, place.url)
        ((connection,),) = sender._pool._idle.values()
        assert connection._raw_head == b""
        assert connection._response is not response


async def test_descriptors_do_not_leak() -> None:
    """2,000 requests that end in every way; then the pool is closed and nothing is open."""
    answers = [OK, b"HTTP/1.0 200 OK\r\n\r\nok", b"", b"garbage\r\n\r\n", EVIL + EVIL, b"HTTP/1.1 200 OK\r\nContent-Le"]

    async def handler(visit: Visit) -> None:
        while True:
            request = await visit.request()
            answer = answers[int(request.split(b"/", 2)[1].split()[0]) % len(answers)]
            await visit.answer(answer)
            if answer is not OK:
                return

    await rest()
    before = sockets()
    async with target(handler) as place, client() as sender:
        for start in range(0, 2000, 20):
            jobs = (fetch(sender, f"{place.url}/{number}") for number in range(start, start + 20))
            await asyncio.gather(*jobs, return_exceptions=True)
        async with asyncio.timeout(PATIENCE_S):
            while len(sockets() - before) > 1 + 2 * 20:  # the listener, and both ends of what is kept
                await asyncio.sleep(0.005)
    async with asyncio.timeout(PATIENCE_S):
        while sockets() - before:
            await asyncio.sleep(0.005)
