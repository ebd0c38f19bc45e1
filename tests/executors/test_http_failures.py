"""What becomes of an http job whose target fails it, and how the failure is named."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support import fixtures
from tests.support.fixtures import Starter
from tests.support.server import Server, free_port
from tests.support.target import NEVER, OK, Reply, Target, running_target
from tests.support.waiting import until

server, target, path = fixtures.server, fixtures.target, fixtures.path
make_server = fixtures.make_server


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """The port of a socket that accepts nobody and whose queue is full: connecting to it takes for ever."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("timeout", [0.5, 30])
def test_timeout_while_connecting_is_named(server: Server, timeout: float) -> None:
    with full_backlog() as port:
        start = time.monotonic()
        job = server.run({"type": "http", "url": f"http://127.0.0.1:{port}/", "timeout": timeout})
    assert (job["state"], job["outcome"]) == ("failed", "timed_out")
    assert job["error"] == f"timed out while connecting to 127.0.0.1:{port}"
    assert time.monotonic() - start < 10  # connect_timeout is 2 s


def test_timeout_while_waiting_is_named(server: Server, target: Target, path: str) -> None:
    job = server.run({"type": "http", "url": target.on(path, NEVER), "timeout": 0.4})
    assert (job["state"], job["outcome"], job["exit_code"]) == ("failed", "timed_out", None)
    assert job["error"] == f"timed out after 0.4 s while waiting for the response of 127.0.0.1:{target.port}"


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_timeout_while_reading_is_named(server: Server, target: Target, path: str, size: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * size
        time.sleep(1)  # stops the target's loop, so that nothing comes from it until the time is over

    reply = Reply(headers=[("Content-Length", "2000000")], pieces=pieces)
    job = server.run({"type": "http", "url": target.on(path, reply), "timeout": 0.5})
    assert (job["state"], job["outcome"]) == ("failed", "timed_out")
    assert job["error"].startswith("timed out after 0.5 s while reading the response of 127.0.0.1:")
    assert job["exit_code"] == 200
    kept = server.output(job["id"])
    assert 0 < len(kept) <= size  # of the large one a part stays in the target's buffer
    assert job["error"].endswith(f"({len(kept)} bytes came)")


def test_connection_refused_is_named(server: Server) -> None:
    port = free_port()
    job = server.run({"type": "http", "url": f"http://127.0.0.1:{port}/secret"})
    assert (job["outcome"], job["error"]) == ("failed", f"connection refused by 127.0.0.1:{port}")


def test_name_that_does_not_exist_is_named(server: Server) -> None:
    job = server.run({"type": "http", "url": "http://nowhere.invalid/x"})
    assert job["state"] == "failed"
    assert job["error"].startswith("can't resolve nowhere.invalid: ")


def test_tls_to_a_plain_port_is_named(server: Server, make_server: Starter) -> None:
    other = make_server().start()
    job = server.run({"type": "http", "url": f"https://127.0.0.1:{other.port}/", "timeout": 10})
    assert job["state"] == "failed"
    assert job["error"].startswith(f"TLS failed with 127.0.0.1:{other.port}: ")


BROKEN = {
    "broken off": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", " broke off after 4 bytes: "),
    "broken off in a chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
        " broke off after 4 bytes: ",
    ),
    "broken off late": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 300_000,
        " broke off after 300000 bytes: ",
    ),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf", " broke off after 0 bytes: "),
    "garbage": (b"\x00\x01garbage\r\n\r\n", "no proper response"),
    "nothing": (b"", "no proper response"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", "no proper response"),
    "status 99999": (b"HTTP/1.1 99999 Odd\r\nContent-Length: 0\r\n\r\n", "no proper response"),
    "an endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2_000_000, "no proper response"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answer_is_named(server: Server, target: Target, path: str, name: str) -> None:
    raw, words = BROKEN[name]
    job = server.run({"type": "http", "url": target.on(path, Reply(raw=raw)), "timeout": 10})
    assert (job["state"], job["outcome"]) == ("failed", "failed")
    assert words in job["error"]
    if "broke off" in words:  # what came before is kept
        assert job["exit_code"] == 200
        assert f" {len(server.output(job['id']))} bytes" in words
    assert len(target.of(path)) == 1  # a library that tries again by itself would run the job twice


def test_informational_answers_before_the_final_one_are_skipped(server: Server, target: Target, path: str) -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    job = server.run({"type": "http", "url": target.on(path, Reply(raw=raw))})
    assert (job["state"], job["exit_code"]) == ("completed", 200)


def retried(server: Server, target: Target, path: str, **reply: object) -> float:
    """Seconds between the first attempt and the second."""
    target.on(path, Reply(**reply), OK)
    retry = {"max_attempts": 2, "min_delay": 0.01, "max_delay": 2, "jitter": 0}
    assert server.run({"type": "http", "url": target.url + path}, retry=retry)["state"] == "completed"
    first, second = target.of(path)
    return second.at - first.at


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_honoured(server: Server, target: Target, path: str, status: int) -> None:
    assert 0.9 < retried(server, target, path, status=status, headers=[("Retry-After", "1")]) < 4


def test_retry_after_as_a_date_is_honoured_up_to_max_delay(server: Server, target: Target, path: str) -> None:
    date = "Fri, 31 Dec 2100 23:59:59 GMT"
    assert 1.9 < retried(server, target, path, status=503, headers=[("Retry-After", date)]) < 5


def test_retry_after_longer_than_max_delay_is_capped(server: Server, target: Target, path: str) -> None:
    assert 1.9 < retried(server, target, path, status=429, headers=[("Retry-After", "86400")]) < 5


@pytest.mark.parametrize("value", ["-1", "soon", "", "1e9", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 400 + "x"])
def test_retry_after_that_says_nothing_is_ignored(server: Server, target: Target, path: str, value: str) -> None:
    assert retried(server, target, path, status=503, headers=[("Retry-After", value)]) < 0.9


def test_retry_after_of_a_success_or_another_failure_is_ignored(server: Server, target: Target, path: str) -> None:
    assert retried(server, target, path, status=500, headers=[("Retry-After", "2")]) < 0.9


def test_down_target_gets_the_job_when_it_is_up_again(server: Server, path: str) -> None:
    with running_target() as own:
        own.refuse()
        retry = {"max_attempts": 50, "min_delay": 0.1, "backoff": "fixed"}
        job = server.add({"type": "http", "url": own.url + path}, retry=retry)
        until(lambda: server.job(job)["attempt"] >= 2)
        own.listen()
        assert server.wait_end(job)["state"] == "completed"
        attempts = server.get(f"/v1/jobs/{job}/attempts")["items"]
        assert {attempt["error"] for attempt in attempts[:-1]} == {f"connection refused by 127.0.0.1:{own.port}"}
