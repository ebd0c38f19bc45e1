"""Clients that do not take their answers, or keep a connection for nothing, are cut off."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import connect, parse, read_answer
from tests.support.server import Server
from tests.support.waiting import until

VARIANT = """
import queue_server.web.protocol as protocol
import queue_server.web.listener as listener
import queue_server.web.unsent as unsent
protocol.REST_TIME_S = 0.5
protocol.HEAD_TIME_S = 0.5
listener.KEEP_ALIVE_S = 0.5
unsent.STALLED_S = 0.5
import queue_server.cli.main
queue_server.cli.main.run()
"""
"""The server, with less patience."""

OUTPUT_BYTES = 16 * 1024 * 1024


@pytest.fixture
def server(make_server: Starter) -> Server:
    return make_server(
        "--exec", "any", "--output-limit", str(OUTPUT_BYTES), program=(sys.executable, "-c", VARIANT)
    ).start()


@contextlib.contextmanager
def narrow(port: int) -> Iterator[socket.socket]:
    """A connection whose receiving end is small: what is not read stays with the server."""
    with socket.socket() as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        channel.settimeout(15)
        channel.connect(("127.0.0.1", port))
        yield channel


def connections(server: Server) -> int:
    """How many connections of clients the server has, this question's among them."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f":{server.port:04X}"
    return sum(line[1].endswith(port) and line[3] == "01" for line in lines)


def test_client_that_does_not_read_its_answer_is_cut_off(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": f"head -c {OUTPUT_BYTES - 100} /dev/zero | tr '\\0' x"})
    with contextlib.ExitStack() as stack:
        before = server.memory_kib()
        channels = [stack.enter_context(narrow(server.port)) for _ in range(5)]
        for channel in channels:
            channel.sendall(b"GET /v1/jobs/%d/output HTTP/1.1\r\nHost: h\r\n\r\n" % job["id"] * 50)
        until(lambda: connections(server) == 0, what="the end of the connections")
        grown = server.memory_kib() - before
        print(f"5 clients that ask for 50 answers of 16 MiB each: memory + {grown // 1024} MiB")
        assert grown < 2 * 5 * OUTPUT_BYTES // 1024
        for channel in channels:
            assert is_over(channel)
    assert server.call("GET", "/readyz").status == 200


def test_client_that_reads_slowly_but_does_read_gets_all(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": f"head -c {OUTPUT_BYTES - 100} /dev/zero | tr '\\0' x"})
    with narrow(server.port) as channel:
        channel.sendall(b"GET /v1/jobs/%d/output HTTP/1.1\r\nHost: h\r\n\r\n" % job["id"])
        channel.settimeout(0.05)
        size = 0
        with contextlib.suppress(TimeoutError):
            while True:
                size += len(channel.recv(65536))
        assert size < OUTPUT_BYTES
        channel.settimeout(10)
        while size < OUTPUT_BYTES - 100 and (piece := channel.recv(65536)):
            size += len(piece)
    assert size >= OUTPUT_BYTES - 100


@pytest.mark.parametrize("then", [b"", b"\r\n", b"\r\n\r\n\r\n"])
def test_connection_that_asks_nothing_more_is_closed(server: Server, then: bytes) -> None:
    with connect(server.port) as channel:
        channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert parse(read_answer(channel)).status == 200
        channel.sendall(then)
        assert channel.recv(1) == b""


def test_rest_of_a_refused_body_is_not_waited_for_long(server: Server) -> None:
    with connect(server.port) as channel:
        channel.sendall(b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\nxx")
        assert parse(read_answer(channel)).status == 413
        channel.sendall(b"x" * 1000)
        assert is_over(channel)


def test_request_that_follows_a_refused_body_is_answered(server: Server) -> None:
    with connect(server.port) as channel:
        channel.sendall(b"GET /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000)
        assert parse(read_answer(channel)).status == 404
        channel.sendall(b"x" * 50_000 + b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert parse(read_answer(channel)).status == 200


def is_over(channel: socket.socket) -> bool:
    """Whether the server ends the connection, in whichever way."""
    try:
        while channel.recv(1024 * 1024):
            pass
    except ConnectionError:
        return True
    return True
