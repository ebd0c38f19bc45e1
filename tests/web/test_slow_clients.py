"""Clients that are slow on purpose take nothing from the others."""

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import connect, parse, read_answer
from tests.support.server import Server, timed
from tests.support.target import Target

HALVES = (
    b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Le",
    b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{",
    b"POST /v1/jobs HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    b"",
)


@contextlib.contextmanager
def half_open(port: int, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(connect(port)) for _ in range(count)]
        for number, channel in enumerate(channels):
            channel.sendall(HALVES[number % len(HALVES)])
        yield channels


def test_two_hundred_half_open_requests_disturb_nobody(server: Server, target: Target, path: str) -> None:
    with half_open(server.port, 200) as channels:
        times = []
        for _ in range(50):
            for channel in channels[::20]:
                channel.sendall(b" " if channel is channels[1] else b"")
            seconds, _ = timed(server.add, {"type": "http", "url": target.on(path)})
            times.append(seconds)
        target.wait(path, 50)
        print(f"adds beside 200 half-open: median {sorted(times)[25] * 1000:.1f} ms, worst {max(times) * 1000:.1f} ms")
        assert sorted(times)[25] < 1


def test_server_stops_in_time_beside_half_open_requests(make_server: Starter) -> None:
    server = make_server("--shutdown-grace", "0").start()
    with half_open(server.port, 40) as channels:
        assert server.call("GET", "/healthz").status == 200  # it has accepted them all
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 4
        answers = [read_answer(channel) for channel in channels]
    assert all(parse(answer).status == 503 for answer in answers if answer)
    assert sum(bool(answer) for answer in answers) == 20


VARIANT = """
import queue_server.web.protocol as protocol
protocol.HEAD_TIME_S = 0.3
import queue_server.cli.main
queue_server.cli.main.run()
"""


@pytest.mark.parametrize("half", [HALVES[0], HALVES[3], b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HT"])
def test_head_that_does_not_arrive_in_time_is_408(make_server: Starter, half: bytes) -> None:
    server = make_server(program=(sys.executable, "-c", VARIANT)).start()
    with connect(server.port) as channel:
        channel.sendall(half)
        if half.endswith(b"GET / HT"):
            assert parse(read_answer(channel)).status == 200
        answer = parse(read_answer(channel))
    assert (answer.status, answer.json["status"]) == (408, 408)


def test_slow_reader_of_a_large_answer_disturbs_nobody(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "exec", "cmd": "yes x | head -c 1000000"})
    server.wait_end(job)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            channel = stack.enter_context(connect(server.port))
            channel.sendall(b"GET /jobs/get/%d HTTP/1.1\r\nHost: h\r\n\r\n" % job * 5)
        assert server.run({"type": "http", "url": target.on(path)})["state"] == "completed"


def test_endless_pipeline_holds_no_more_than_one_read_of_it(server: Server) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    before = server.memory_kib()
    with connect(server.port, timeout=2) as channel:
        sender = threading.Thread(target=send_for_a_while, args=(channel, request * 2000))
        sender.start()
        size = 0
        with contextlib.suppress(TimeoutError, OSError):
            while sender.is_alive():
                size += len(channel.recv(1024 * 1024))
        sender.join()
    grown = (server.memory_kib() - before) // 1024
    print(f"{size // 1024} KiB of answers to a client that does not wait for them: memory + {grown} MiB")
    assert size
    assert grown < 40


def send_for_a_while(channel: socket.socket, data: bytes) -> None:
    end = time.monotonic() + 5
    with contextlib.suppress(OSError):
        while time.monotonic() < end:
            channel.send(data)
