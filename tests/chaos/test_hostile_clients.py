"""What many clients and targets that are slow on purpose take from the others, measured."""

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import connect
from tests.support.server import Server
from tests.support.target import NEVER, Target
from tests.support.waiting import until

HALVES = (
    b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Le",
    b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{",
    b"POST /v1/jobs/batch HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n",
    b"",
)
ASKED = ("/healthz", "/jobs/status", "/v1/jobs?limit=10", "/v1/stats")
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    """Each client is a file of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65_536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def api_times(server: Server, count: int) -> list[float]:
    """Milliseconds of requests and durable adds, the shortest first."""
    times: list[float] = []
    for number in range(count):
        start = time.monotonic()
        if number % 2:
            server.add({"type": "http", "url": "http://127.0.0.1:9/"}, delay=86_400)
        else:
            assert server.call("GET", ASKED[number // 2 % len(ASKED)]).status == 200
        times.append((time.monotonic() - start) * 1000)
    return sorted(times)


def share(times: list[float], percent: int) -> float:
    return times[min(len(times) * percent // 100, len(times) - 1)]


def test_two_thousand_slow_clients_leave_the_api_alone(make_server: Starter) -> None:
    server = make_server().start()
    alone = api_times(server, 400)
    before = server.memory_kib()
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(connect(server.port)) for _ in range(2000)]
        for number, channel in enumerate(channels):
            channel.sendall(HALVES[number % len(HALVES)])
        trickle = threading.Thread(target=trickle_on, args=(channels, over))
        trickle.start()
        try:
            times = api_times(server, 2000)
            grown = (server.memory_kib() - before) // 1024
            print(
                f"beside 2,000 slow clients: p50 {share(times, 50):.1f} ms, p99 {share(times, 99):.1f} ms (alone "
                f"{share(alone, 50):.1f} and {share(alone, 99):.1f} ms), memory + {grown} MiB"
            )
            assert share(times, 99) < 200
            assert grown < 200
            until(lambda: all(is_cut(channel) for channel in channels), 90, "the end of all slow clients")
        finally:
            over.set()
            trickle.join()
    assert server.call("GET", "/readyz").status == 200


def trickle_on(channels: list[socket.socket], over: threading.Event) -> None:
    """One byte a second for a part of them: not even that buys them time."""
    while not over.wait(1):
        for channel in channels[1::4]:
            with contextlib.suppress(OSError):
                channel.send(b" ")


def is_cut(channel: socket.socket) -> bool:
    """Whether the server has ended the connection."""
    channel.setblocking(False)
    try:
        while channel.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def test_ten_thousand_silent_targets_leave_other_jobs_and_the_api_alone(
    make_server: Starter, target: Target, path: str
) -> None:
    server = make_server("--concurrency", "10000", "--shutdown-grace", "0").start()
    before, silent = server.memory_kib(), 9900
    alone = job_times(server, target, path + "/alone")
    body = b"\n".join(
        b'{"command":{"type":"http","url":"%b","timeout":900}}' % target.on(path, NEVER).encode()
        for _ in range(silent // 9)
    )
    for _ in range(9):
        assert server.call("POST", "/v1/jobs/batch", body, timeout=120).status == 201
    target.wait(path, silent, within_s=300)
    beside, times = job_times(server, target, path + "/beside"), api_times(server, 400)
    grown = (server.memory_kib() - before) // 1024
    print(
        f"beside {silent:,} silent targets: other jobs p50 {share(beside, 50):.1f} ms, p99 {share(beside, 99):.1f} ms"
    )
    print(
        f"alone {share(alone, 50):.1f} and {share(alone, 99):.1f} ms; API p99 {share(times, 99):.1f} ms, +{grown} MiB"
    )
    assert grown < 500
    assert share(beside, 50) < 2 * share(alone, 50) + 10
    assert share(times, 99) < 200


def job_times(server: Server, target: Target, path: str, count: int = 200) -> list[float]:
    """Milliseconds from posting a job to its arrival at the target, one at a time, the shortest first."""
    url, times = target.on(path), list[float]()
    for number in range(count):
        start = time.monotonic()
        server.add({"type": "http", "url": url})
        times.append((target.wait(path, number + 1)[-1].at - start) * 1000)
    return sorted(times)
