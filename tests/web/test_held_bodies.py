"""Bodies that arrive hold so much memory and no more, and who holds most makes room."""

import contextlib
import socket
import sys

from queue_server.web.errors import Failure
from queue_server.web.held import HeldBodies, held_most
from tests.support.batches import array, head, job, send
from tests.support.fixtures import Starter
from tests.support.raw import connect, parse, read_answer
from tests.support.waiting import until

MIB = 1024 * 1024


class Holder:
    """A connection that only remembers what is done to it."""

    def __init__(self, *, is_receiving: bool = True) -> None:
        self.is_receiving = is_receiving
        self.failure: Failure | None = None

    def refuse(self, failure: Failure) -> None:
        self.failure = failure


def test_largest_body_of_the_caller_who_holds_most_makes_room() -> None:
    held = HeldBodies(100)
    flood = [Holder(), Holder(), Holder()]
    for holder, size in zip(flood, (20, 30, 25), strict=True):
        held.grow(holder, "flood", size)
    other = Holder()
    held.grow(other, "other", 40)
    assert other.failure is None
    assert [holder.failure is not None for holder in flood] == [False, True, False]
    assert flood[1].failure
    assert (flood[1].failure.status, held.total) == (503, 85)
    assert "100 bytes in all" in flood[1].failure.sentence


def test_newcomer_loses_where_nothing_else_can_be_refused() -> None:
    held = HeldBodies(100)
    stored, other = Holder(is_receiving=False), Holder()
    held.grow(stored, "a", 90)
    held.grow(other, "b", 20)
    assert stored.failure is None
    assert other.failure
    assert held.total == 90


def test_what_was_released_is_forgotten() -> None:
    held = HeldBodies(100)
    one = Holder()
    for _ in range(10):
        held.grow(one, "a", 60)
        held.release(one)
        held.release(one)
    assert one.failure is None
    assert held.total == 0


def test_at_least_four_of_the_largest_batches_are_held() -> None:
    assert held_most(64 * MIB) == 256 * MIB
    assert held_most(1024) == 256 * MIB
    assert held_most(100 * MIB) == 400 * MIB


VARIANT = """
import queue_server.web.held as held
held.HELD_LEAST = 1024 * 1024
import queue_server.cli.main
queue_server.cli.main.run()
"""


def test_flood_of_slow_bodies_ends_with_503_and_a_small_request_is_served(make_server: Starter) -> None:
    server = make_server("--max-batch", "1KiB", "--max-body", "1MiB", program=(sys.executable, "-c", VARIANT)).start()
    half = b"POST /v1/jobs HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b" " * 300_000
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(connect(server.port)) for _ in range(4)]
        for channel in channels:
            channel.sendall(half)
        refused = [parse(answer) for channel in channels if (answer := patiently(channel))]
        assert [answer.status for answer in refused] == [503]
        assert "1048576 bytes in all" in refused[0].json["detail"]
        assert int(refused[0].headers["Retry-After"]) > 0
        assert server.add({"type": "http", "url": "http://127.0.0.1:9/"}, delay=3600)
    until(lambda: send(server, array([job()] * 9)).status == 201, what="a batch again")


def test_bodies_of_other_callers_arrive_beside_a_flood(make_server: Starter) -> None:
    server = make_server("--max-batch", "256KiB", program=(sys.executable, "-c", VARIANT)).start()
    half = b"POST /v1/jobs HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b" " * 300_000
    body = array([job()] * 2500)
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(connect(server.port)) for _ in range(3)]
        for channel in channels:
            channel.sendall(half)
        other = stack.enter_context(connect(server.port, source="127.0.0.2"))
        other.sendall(head(len(body)) + body[:-1])
        assert [parse(answer).status for channel in channels if (answer := patiently(channel))] == [503]
        other.sendall(body[-1:])
        assert parse(read_answer(other)).status == 201


def patiently(channel: socket.socket) -> bytes:
    """What is answered within a second."""
    channel.settimeout(1)
    return read_answer(channel)
