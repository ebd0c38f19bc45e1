"""The address that is connected to is the one that was judged: real listeners count who connects."""

import asyncio
import itertools
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from queue_server.domain.target_items import TargetLimits
from queue_server.domain.targets import token_limits
from queue_server.executors.http_client.client import Client
from queue_server.executors.http_client.failures import TargetRefused
from queue_server.executors.http_client.response import Response
from tests.executors.http_client.lab import OK, Target, Visit, always, client, fetch, message, on_loopback, target
from tests.executors.http_client.test_connecting import names
from tests.executors.http_client.test_giving_up import Loop

ALLOWED, DENIED = "127.0.0.1", "127.0.0.66"
FLIPS = 1000


class Forbidden:
    """A listener on an address that is denied, on the same port as the target; it counts who connects."""

    def __init__(self, port: int, address: str = DENIED) -> None:
        self._listener = socket.socket()
        self._listener.bind((address, port))
        self._listener.listen(128)
        self._listener.setblocking(False)

    def visits(self) -> int:
        count = 0
        try:
            while True:
                self._listener.accept()[0].close()
                count += 1
        except BlockingIOError:
            return count

    def close(self) -> None:
        self._listener.close()


@contextmanager
def forbidden(port: int) -> Iterator[Forbidden]:
    listener = Forbidden(port)
    try:
        yield listener
    finally:
        listener.close()


def system_answers(monkeypatch: pytest.MonkeyPatch, answers: Iterator[Sequence[str]]) -> list[str]:
    """The system's resolver, which whoever asks for a name gets, gives one answer after the other."""
    real, asked = socket.getaddrinfo, list[str]()

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        if str(host).endswith(".example"):
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port))) for address in next(answers)]
        return real(host, port, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def closing() -> Any:
    """Answers one request of a connection, and closes it: the next one has to connect again."""

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    return handler


def test_answers_that_flip_between_judging_and_connecting_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asyncio's own loop, because uvloop's resolver can't be replaced under it."""

    async def flip() -> tuple[int, int, int]:
        async with target(closing()) as place, client(targets=on_loopback(deny=[DENIED])) as sender:
            with forbidden(place.port) as trap:
                asked = system_answers(monkeypatch, itertools.cycle(([ALLOWED], [DENIED])))
                refused = 0
                for _ in range(FLIPS):
                    try:
                        assert (await fetch(sender, f"http://flip.example:{place.port}/")).status == 200
                    except TargetRefused:
                        refused += 1
                assert place.visits == FLIPS - refused
                return len(asked), refused, trap.visits()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as one:
        assert one.run(flip()) == (FLIPS, FLIPS // 2, 0)


async def test_flipping_answers_of_the_client_s_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    async with target(closing()) as place, client(targets=on_loopback(deny=[DENIED])) as sender:
        with forbidden(place.port) as trap:
            answers, asked = itertools.cycle((ALLOWED, DENIED)), 0

            async def getaddrinfo(_: str, port: int, **__: Any) -> list[Any]:
                nonlocal asked
                asked += 1
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

            monkeypatch.setitem(sender._pool.__dict__, "_loop", Loop(getaddrinfo))
            for number in range(FLIPS):
                sending = fetch(sender, f"http://flip{number}.example:{place.port}/")
                if number % 2:
                    with pytest.raises(TargetRefused, match=f"leads to {DENIED}, which is not allowed"):
                        await sending
                else:
                    assert (await sending).status == 200
            assert (asked, place.visits, trap.visits()) == (FLIPS, FLIPS // 2, 0)


@pytest.mark.parametrize(
    "answer",
    [
        (DENIED,),
        (ALLOWED, DENIED),
        (DENIED, ALLOWED),
        (ALLOWED, "::ffff:127.0.0.66"),
        ("::ffff:127.0.0.66",),
        ("64:ff9b::127.0.0.66", ALLOWED),
        (ALLOWED, "169.254.169.254"),
        (ALLOWED, "fe80::1%1"),
        (ALLOWED, "0.0.0.0"),
        (ALLOWED, "::"),
    ],
)
async def test_one_denied_address_of_a_name_refuses_all(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[str, ...]
) -> None:
    async with target(always()) as place, client(targets=on_loopback(deny=[DENIED])) as sender:
        with forbidden(place.port) as trap:
            names(monkeypatch, sender, *answer)
            with pytest.raises(TargetRefused, match=r"^target mixed.example leads to [0-9a-f.:]+, which is"):
                await fetch(sender, f"http://mixed.example:{place.port}/")
            assert (place.visits, trap.visits()) == (0, 0)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.66",
        "0x7f.66",
        "127.66",
        "017700000102",
        "2130706498",
        "127.0.0.66.",
        "[::ffff:127.0.0.66]",
        "[::ffff:7f00:42]",
        "allowed.example@127.0.0.66",
        "\uff11\uff12\uff17.0.0.66",
    ],
)
async def test_denied_address_is_not_reached_however_it_is_written(host: str) -> None:
    async with target(always()) as place, client(targets=on_loopback(deny=[DENIED])) as sender:
        with forbidden(place.port) as trap:
            with pytest.raises(TargetRefused, match=r"is not allowed \(setting http_deny\)"):
                await fetch(sender, f"http://{host}:{place.port}/")
            assert trap.visits() == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "017700000001", "127.1", "127.0.0.1.", "127\u30020.0.1"])
async def test_odd_address_that_is_allowed_is_reached(host: str) -> None:
    async with target(always()) as place, client() as sender:
        assert (await fetch(sender, f"http://{host}:{place.port}/")).status == 200


async def test_denied_name_is_not_even_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(targets=on_loopback(deny=[".evil.example"])) as sender:
        asked = names(monkeypatch, sender, ALLOWED)
        for host in ("evil.example", "x.EVIL.example.", "metadata.google.internal"):
            with pytest.raises(TargetRefused, match="is not allowed"):
                await fetch(sender, f"http://{host}/")
        assert asked == []


async def test_own_port_and_database_are_not_reached() -> None:
    async with target(always()) as own, target(always()) as other:
        async with client(targets=on_loopback(own_port=own.port)) as sender:
            for host in ("127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"):
                with pytest.raises(TargetRefused, match="this server itself"):
                    await fetch(sender, f"http://{host}:{own.port}/")
            assert (await fetch(sender, other.url)).status == 200
        assert own.visits == 0


async def visit(sender: Client, place: Target, limits: TargetLimits) -> int:
    response = Response(1024)
    await sender.send(message(place.url), response, 5, limits)
    return response.status


async def test_kept_connection_is_judged_by_the_limits_of_each_job() -> None:
    all_of_it, none_of_it = token_limits("allowlist", ["127.0.0.0/8"], []), token_limits("public", [], [])
    async with target(always(OK)) as place, client() as sender:
        assert (await fetch(sender, place.url)).status == 200
        with pytest.raises(TargetRefused, match="of the token that added the job"):
            await visit(sender, place, none_of_it)
        assert await visit(sender, place, all_of_it) == 200
        assert (await fetch(sender, place.url)).status == 200
        assert place.visits == 1, "the connection was kept for those who may use it"


async def test_redirect_to_a_denied_address_is_not_followed() -> None:
    with ExitStack() as stack:
        answer = f"HTTP/1.1 302 Found\r\nLocation: http://{DENIED}:%d/\r\nContent-Length: 0\r\n\r\n"
        port = 0

        async def handler(visit: Visit) -> None:
            await visit.request()
            await visit.answer((answer % port).encode())

        async with target(handler) as place, client(targets=on_loopback(deny=[DENIED])) as sender:
            port = place.port
            trap = stack.enter_context(forbidden(port))
            assert (await fetch(sender, place.url)).status == 302
            assert (place.visits, trap.visits()) == (1, 0)
