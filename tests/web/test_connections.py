"""How many may be connected, in all and from one address, and who makes room for whom."""

import contextlib
import socket
import sys
from collections.abc import Iterator

import pytest

from queue_server.web.gate import LINGERING_LIMIT, Gate, network_of
from tests.support.fixtures import Starter
from tests.support.raw import Answer, connect, parse, read_answer
from tests.support.server import Server
from tests.support.waiting import until

GET = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-"


class Guest:
    """A connection that only remembers what is done to it."""

    def __init__(self, idle_since: float | None = None) -> None:
        self.idle_since = idle_since
        self.is_closed = False

    def close_idle(self) -> None:
        self.is_closed = True


@contextlib.contextmanager
def connected(server: Server, count: int, data: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that have sent something, and have been heard."""
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(connect(server.port)) for _ in range(count)]
        for channel in channels:
            channel.sendall(data)
        yield channels


def ask(server: Server) -> Answer:
    """One request on a connection of its own."""
    with connect(server.port) as channel:
        channel.sendall(GET)
        return parse(read_answer(channel))


def test_one_connection_too_many_is_503_that_names_the_setting(make_server: Starter) -> None:
    server = make_server("--max-connections", "5").start()
    with connected(server, 5, HALF):
        answer = ask(server)
        assert answer.status == 503
        assert answer.json["data"] == "all 5 connections are in use (setting max_connections)"
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["connection"] == "close"
    until(lambda: ask(server).status == 200, what="room for others")


def test_connection_that_was_idle_for_longest_makes_room(make_server: Starter) -> None:
    server = make_server("--max-connections", "3").start()
    with connected(server, 3, GET) as channels:
        for channel in channels:
            assert parse(read_answer(channel)).status == 200
        for channel in 20 * (channels[2], channels[0]):  # the loop's clock counts milliseconds
            channel.sendall(GET)
            assert parse(read_answer(channel)).status == 200
        until(lambda: ask(server).status == 200, what="room for a fourth")
        assert channels[1].recv(1) == b"", "the one that was used longest ago is closed"
        for channel in (channels[2], channels[0]):
            channel.sendall(GET)
            assert parse(read_answer(channel)).status == 200


def test_turned_away_client_that_has_sent_much_can_read_why(make_server: Starter) -> None:
    server = make_server("--max-connections", "1").start()
    with connected(server, 1, HALF), connect(server.port) as channel:
        channel.sendall(b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000)
        assert parse(read_answer(channel)).status == 503


def test_more_clients_are_turned_away_than_may_linger(make_server: Starter) -> None:
    server = make_server("--max-connections", "1").start()
    with connected(server, 1, HALF), connected(server, 2 * LINGERING_LIMIT, GET) as channels:
        answers = [read_answer(channel) for channel in channels]
        assert sum(parse(answer).status == 503 for answer in answers if answer) >= LINGERING_LIMIT
    until(lambda: ask(server).status == 200, what="room for others")


VARIANT = """
import queue_server.web.gate as gate
gate.network_of = lambda host: host
import queue_server.cli.main
queue_server.cli.main.run()
"""


def test_one_connection_too_many_of_an_address_is_429_that_names_the_setting(make_server: Starter) -> None:
    server = make_server("--max-connections-per-address", "2", program=(sys.executable, "-c", VARIANT)).start()
    with connected(server, 2, HALF):
        answer = ask(server)
        assert answer.status == 429
        assert answer.json["data"] == "2 connections of this address are open (setting max_connections_per_address)"
        assert answer.headers["Retry-After"] == "1"
        with connect(server.port, source="127.0.0.2") as other:
            other.sendall(GET)
            assert parse(read_answer(other)).status == 200
    until(lambda: ask(server).status == 200, what="room for others of this address")


def test_loopback_is_not_limited_by_address(make_server: Starter) -> None:
    server = make_server("--max-connections-per-address", "2").start()
    with connected(server, 10, HALF):
        assert ask(server).status == 200


def test_gate_forgets_addresses_that_have_left() -> None:
    gate = Gate(10, 2)
    guests = [Guest(), Guest()]
    for guest in guests:
        assert gate.admit(guest, ("192.0.2.1", 1), 0) is None
    assert gate.admit(Guest(), ("192.0.2.1", 2), 0)
    assert gate.admit(Guest(), ("192.0.2.2", 2), 0) is None
    assert gate.admit(Guest(), ("127.0.0.1", 2), 0) is None
    assert gate.admit(Guest(), None, 0) is None
    gate.leave(guests[0])
    gate.leave(guests[0])
    assert gate.admit(Guest(), ("192.0.2.1", 3), 0) is None
    assert gate.admit(Guest(), ("192.0.2.1", 4), 0)


def test_gate_closes_the_idle_in_the_order_of_their_idleness() -> None:
    gate = Gate(4, 0)
    guests = [Guest(since) for since in (3.0, 1.0, None, 2.0)]
    for guest in guests:
        assert gate.admit(guest, None, 0) is None
    newer = [Guest(), Guest(), Guest()]
    assert gate.admit(newer[0], None, 10) is None
    assert [guest.is_closed for guest in guests] == [False, True, False, False]
    guests[3].idle_since = 10.0  # it was used in between
    assert gate.admit(newer[1], None, 10.1) is None
    assert [guest.is_closed for guest in guests] == [True, True, False, False]
    assert gate.admit(newer[2], None, 10.2), "one that has just become idle is left in peace"
    assert gate.admit(newer[2], None, 11) is None
    assert guests[3].is_closed


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", None),
        ("", None),
    ],
)
def test_address_is_counted_as_one_client_has_it(host: str, counted: str | None) -> None:
    assert network_of(host) == counted
