"""What the client makes of the bytes that come back."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_server.executors.http_client.failures import ConnectionClosed, RequestFailed
from queue_server.executors.http_client.response import HEAD_LIMIT, Response
from tests.executors.http_client.lab import (
    OK,
    Handler,
    Visit,
    always,
    client,
    exchange_on,
    exchanged,
    fetch,
    once,
    target,
    wired,
)

HEAD = b"HTTP/1.1 200 OK\r\nX-A: b\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

WHOLE = {
    "length": (b"", HEAD + b"Content-Length: 12", b"hello\r\n\r\nyou"),
    "empty": (b"", HEAD + b"Content-Length: 0", b""),
    "no content": (b"", b"HTTP/1.1 204 No Content", b""),
    "after interim ones": (CONTINUE + INTERIM + INTERIM, HEAD + b"Content-Length: 2", b"ok"),
    "after empty lines": (b"\r\n\r\n", HEAD + b"Content-Length: 2", b"ok"),
    "no reason": (b"", b"HTTP/1.1 200\r\nContent-Length: 2", b"ok"),
    "not ascii": (b"", "HTTP/1.1 200 schön\r\nX: é\r\nContent-Length: 2".encode(), b"ok"),
}


@st.composite
def wire(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """The bytes of a response, its head and its body."""
    before, head, body = WHOLE[draw(st.sampled_from(sorted(WHOLE)))]
    if draw(st.booleans()) and b"Content-Length" in head:
        head = head.rpartition(b"\r\n")[0] + b"\r\n" + CHUNKED
        chunks = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4))
        extension = draw(st.sampled_from([b"", b";a=b", b';a="b c";d']))
        trailer = draw(st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: b\r\nC: d\r\n"]))
        coded = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
        return (
            before + head + b"\r\n\r\n" + coded + b"0" + extension + b"\r\n" + trailer + b"\r\n",
            head,
            b"".join(chunks),
        )
    return before + head + b"\r\n\r\n" + body, head, body


@st.composite
def in_pieces(draw: st.DrawFn) -> tuple[list[bytes], bytes, bytes]:
    data, head, body = draw(wire())
    cuts = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=12)))
    if draw(st.integers(0, 9)) == 0:
        cuts = list(range(1, len(data)))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])], head, body


@settings(max_examples=300, deadline=None)
@given(responses=st.lists(in_pieces(), min_size=1, max_size=3))
def test_response_is_the_same_in_whatever_pieces_it_comes(responses: list[tuple[list[bytes], bytes, bytes]]) -> None:
    async def scenario() -> None:
        connection = wired()
        for pieces, head, body in responses:
            response = Response(1024)
            await exchange_on(connection, response, pieces)
            assert (response.status, response.head, response.text) == (int(head.split()[1]), head, body)
            assert connection.is_reusable

    asyncio.run(scenario())


@settings(max_examples=100, deadline=None)
@given(cuts=st.sets(st.integers(1, 60), max_size=8), version=st.sampled_from([b"1.0", b"1.1"]), body=st.binary())
def test_body_without_a_length_ends_with_the_connection(cuts: set[int], version: bytes, body: bytes) -> None:
    data = b"HTTP/%b 200 OK\r\nX: y\r\n\r\n%b" % (version, body)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    response, connection = asyncio.run(exchanged(pieces, ends=True))
    assert (response.status, response.head, response.text) == (200, data[: -4 - len(body)], body)
    assert not connection.is_reusable


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity",
        b"HTTP/1.1 200 OK\r\nX-Content-Length: 1000",
    ],
    ids=range(4),
)
async def test_body_that_ends_with_the_connection_is_whole(head: bytes) -> None:
    response = await once(head + b"\r\n\r\n" + b"x" * 300_000)
    assert (response.status, response.head, response.text) == (200, head, b"x" * 300_000)


@pytest.mark.parametrize("length", [b"Content-Length: 5", b"Content-Length: 5\r\nConnection: close", CHUNKED, b"X: y"])
async def test_response_to_head_has_no_body_even_if_one_comes(length: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + length
    for extra in (b"", b"hello", OK):
        response = await once(head + b"\r\n\r\n" + extra, "HEAD")
        assert (response.status, response.head, response.text) == (200, head, b"")


@pytest.mark.parametrize("status", [204, 304])
async def test_status_without_a_body_needs_none(status: int) -> None:
    head = b"HTTP/1.1 %d X\r\nContent-Length: 5" % status
    async with target(always(head + b"\r\n\r\n")) as place, client() as sender:
        for _ in range(3):
            response = await fetch(sender, place.url)
            assert (response.status, response.head, response.size) == (status, head, 0)
        assert place.visits == 1


LINES = {
    "all bare": b"HTTP/1.1 200 OK\nX: y\nContent-Length: 6\n\n",
    "the empty line": b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 6\r\n\n",
    "the last header": b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 6\n\r\n",
    "status": b"HTTP/1.1 200 OK\nX: y\r\nContent-Length: 6\r\n\r\n",
}


@pytest.mark.parametrize("kind", LINES)
async def test_line_ends_without_cr_are_understood(kind: str) -> None:
    head, body = LINES[kind], b"\r\n\r\n\n\n"
    for pieces in ([head + body], [bytes([byte]) for byte in head + body]):
        response, connection = await exchanged(pieces)
        assert (response.head, response.text) == (head.rstrip(b"\r\n"), body)
        assert response.header("x") == "y"
        assert connection.is_reusable


async def test_interim_response_with_a_body_leaves_nothing_of_it() -> None:
    odd = b"HTTP/1.1 110 Odd\r\nContent-Length: 5\r\n\r\nhello"
    response = await once(odd + OK)
    assert (response.status, response.text) == (200, b"ok")


BROKEN = {
    "length and chunked": (HEAD + b"Content-Length: 2\r\n" + CHUNKED + b"\r\n\r\n0\r\n\r\n", "can't be present with"),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", "Content-Length"),
    "negative length": (HEAD + b"Content-Length: -1\r\n\r\n", "Content-Length"),
    "signed length": (HEAD + b"Content-Length: +2\r\n\r\nok", "Content-Length"),
    "no number": (HEAD + b"Content-Length: two\r\n\r\nok", "Content-Length"),
    "no length": (HEAD + b"Content-Length:\r\n\r\nok", "Content-Length"),
    "huge length": (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nok", "Content-Length overflow"),
    "huge chunk": (HEAD + CHUNKED + b"\r\n\r\n" + b"f" * 17 + b"\r\nok", "Chunk size overflow"),
    "negative chunk": (HEAD + CHUNKED + b"\r\n\r\n-1\r\nok", "Invalid character in chunk size"),
    "wrong chunk": (HEAD + CHUNKED + b"\r\n\r\n2\r\nokXX0\r\n\r\n", "after chunk data"),
    "NUL": (HEAD + b"X: a\0b\r\n\r\n", "Invalid header value char"),
    "folded": (HEAD + b"X: a\r\n b\r\n\r\n", "whitespace"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "Expected HTTP/"),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x16", "Expected HTTP/"),
    "another protocol": (b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nzz", "another protocol"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_response_fails_in_words(name: str) -> None:
    data, words = BROKEN[name]
    with pytest.raises(RequestFailed, match=words) as caught:
        await once(data)
    assert str(caught.value).startswith(("no proper response from 127.0.0.1:", "the response of 127.0.0.1:"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no proper response from 127.0.0.1:%d: the connection was closed"),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", "no proper response from 127.0.0.1:%d: the connection was closed"),
        (CONTINUE, "no proper response from 127.0.0.1:%d: the connection was closed"),
        (HEAD + b"Content-Length: 9\r\n\r\nhalf", "the response of 127.0.0.1:%d broke off after 4 bytes: "),
        (HEAD + CHUNKED + b"\r\n\r\n9\r\nhalf", "the response of 127.0.0.1:%d broke off after 4 bytes: "),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nhalf\r\n", "the response of 127.0.0.1:%d broke off"),
    ],
    ids=range(6),
)
async def test_response_that_breaks_off_is_no_whole_one(data: bytes, words: str) -> None:
    async with target(always_then_close(data)) as place, client() as sender:
        response = Response(1024)
        with pytest.raises(ConnectionClosed) as caught:
            await fetch(sender, place.url, response=response)
        assert str(caught.value).startswith(words % place.port)
        assert response.text in (b"half", b"")


def always_then_close(data: bytes) -> Handler:
    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer(data)

    return handler


async def test_reset_is_named() -> None:
    async def handler(visit: Visit) -> None:
        await visit.request()
        visit.reset()

    async with target(handler) as place, client() as sender:
        with pytest.raises(ConnectionClosed, match=r"no proper response from .*: connection reset by peer"):
            await fetch(sender, place.url)


@pytest.mark.parametrize("field", [b"X: " + b"x" * 70_000, b"X-Some: thing\r\n" * 5000, b"x" * 70_000])
async def test_endless_head_is_given_up(field: bytes) -> None:
    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"HTTP/1.1 200 OK\r\n")
        while True:
            await visit.answer(field)

    async with target(handler) as place, client() as sender:
        with pytest.raises(RequestFailed, match=f"the response's headers are larger than {HEAD_LIMIT} bytes"):
            await fetch(sender, place.url)


async def test_head_up_to_the_limit_is_kept() -> None:
    head = HEAD + b"X: " + b"x" * (HEAD_LIMIT - 200) + b"\r\nContent-Length: 2"
    assert (await once(head + b"\r\n\r\nok")).head == head


async def test_large_body_is_read_in_constant_memory() -> None:
    size, piece = 200_000_000, b"x" * 1_000_000

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            await visit.answer(piece)
        await visit.end()

    def peak_kib() -> int:
        with open("/proc/self/status") as status:  # noqa: PTH123
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    async with target(handler) as place, client() as sender:
        before = peak_kib()
        response = await fetch(sender, place.url)
        assert response.size == size
        assert len(response.text) < 1_100_000
        assert peak_kib() - before < 40_000


async def test_more_than_is_to_be_read_breaks_off() -> None:
    connection, response = wired(), Response(10, most=100)
    with pytest.raises(RequestFailed, match=r"larger than 100 bytes \(setting max_response\)"):
        await exchange_on(connection, response, [HEAD + b"Content-Length: 102\r\n\r\n", b"x" * 100, b"xx"])
    assert not connection.is_reusable


async def test_flood_of_interim_responses_breaks_off() -> None:
    with pytest.raises(RequestFailed, match="too many interim responses"):
        await exchanged([CONTINUE * 10_000, HEAD + b"Content-Length: 0\r\n\r\n"])
