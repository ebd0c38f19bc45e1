"""What is kept of an answer, and what answers may cost."""

import gzip
import itertools
from collections.abc import Iterator

import pytest

from tests.support import fixtures
from tests.support.fixtures import Starter
from tests.support.server import Server
from tests.support.target import Reply, Target

server, target, path, make_server = fixtures.server, fixtures.target, fixtures.path, fixtures.make_server

MIB = 1024 * 1024


@pytest.mark.parametrize("body", [b"", b"\0\xff\xfe\r\n" * 1000, "héllo".encode(), b"x" * 200_000], ids=range(4))
def test_answer_is_kept_byte_for_byte_with_its_head(server: Server, target: Target, path: str, body: bytes) -> None:
    job = server.run({"type": "http", "url": target.on(path, Reply(201, body, [("X-Mine", "1")]))})
    assert server.output(job["id"]) == body
    head = server.output(job["id"], "?stream=head").decode()
    assert head.startswith("HTTP/1.1 201")
    assert "x-mine: 1" in head.lower()
    assert server.call("GET", f"/jobs/get/{job['id']}").status == 200


def test_chunked_answer_is_put_together(server: Server, target: Target, path: str) -> None:
    reply = Reply(pieces=lambda: iter([b"one ", b"two ", b"three"]), is_chunked=True)
    job = server.run({"type": "http", "url": target.on(path, reply)})
    assert server.output(job["id"]) == b"one two three"


def test_first_and_last_part_of_a_large_answer_are_kept(server: Server, target: Target, path: str) -> None:
    body = b"first" + b"-" * 5 * MIB + b"last"
    job = server.run({"type": "http", "url": target.on(path, Reply(body=body))})
    kept = server.output(job["id"])
    assert kept.startswith(b"first-")
    assert kept.endswith(b"-last")
    assert b"\n[... %d bytes dropped ...]\n" % (len(body) - MIB) in kept
    assert len(kept) < MIB + 100


def test_endless_answer_is_read_in_constant_memory_until_the_timeout(
    make_server: Starter, target: Target, path: str
) -> None:
    def endless() -> Iterator[bytes]:
        return itertools.repeat(b"x" * 65536)

    # A fast machine reads more than a gibibyte in the two seconds.
    server = make_server("--max-response", "1TiB").start()
    before = server.memory_kib()
    url = target.on(path, Reply(pieces=endless, is_chunked=True))
    jobs = [server.add({"type": "http", "url": url, "timeout": 2}) for _ in range(3)]
    ended = [server.wait_end(job) for job in jobs]
    grown = server.memory_kib() - before
    sizes = [int(job["error"].partition("(")[2].split()[0]) for job in ended]
    print(f"3 endless answers: {sum(sizes) / MIB:.0f} MiB read, memory + {grown / 1024:.0f} MiB")
    assert {(job["state"], job["outcome"]) for job in ended} == {("failed", "timed_out")}
    assert sum(sizes) > 20 * MIB
    assert grown < 64 * 1024


def test_gzip_bomb_is_not_expanded(server: Server, target: Target, path: str) -> None:
    bomb = gzip.compress(bytes(100 * MIB), 9)
    before = server.memory_kib()
    job = server.run({"type": "http", "url": target.on(path, Reply(body=bomb, headers=[("Content-Encoding", "gzip")]))})
    assert job["state"] == "completed"
    assert server.output(job["id"]) == bomb
    assert server.memory_kib() - before < 32 * 1024


def test_connections_are_used_again(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--concurrency", "4").start()
    before = target.connections
    jobs = [server.add({"type": "http", "url": target.on(path)}) for _ in range(200)]
    target.wait(path, 200)
    server.wait_end(jobs[-1])
    opened = target.connections - before
    print(f"200 jobs over {opened} connections")
    assert opened <= 8


def test_connection_that_the_target_has_closed_is_replaced(server: Server, target: Target, path: str) -> None:
    url = target.on(path, Reply(close=True))
    assert {server.run({"type": "http", "url": url})["state"] for _ in range(5)} == {"completed"}
    assert len(target.of(path)) == 5


def test_proxies_of_the_environment_are_ignored(make_server: Starter, target: Target, path: str) -> None:
    proxy = "http://127.0.0.1:9"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    server = make_server(environ=dict.fromkeys(names, proxy)).start()
    assert server.run({"type": "http", "url": target.on(path)})["state"] == "completed"
    assert target.of(path)[0].target == path  # not the whole url, as a proxy gets it


def test_cookies_of_one_job_are_not_sent_by_the_next(server: Server, target: Target, path: str) -> None:
    url = target.on(path, Reply(headers=[("Set-Cookie", "session=1; Path=/")]))
    server.run({"type": "http", "url": url}), server.run({"type": "http", "url": url})
    assert target.of(path)[1].header("Cookie") is None


@pytest.mark.parametrize("is_chunked", [True, False])
def test_answer_larger_than_the_setting_ends_the_attempt_as_failed(
    make_server: Starter, target: Target, path: str, *, is_chunked: bool
) -> None:
    server = make_server("--max-response", "1MiB", "--output-limit", "1KiB").start()

    def endless() -> Iterator[bytes]:
        return itertools.repeat(b"x" * 65536)

    job = server.run({"type": "http", "url": target.on(path, Reply(pieces=endless, is_chunked=is_chunked))})
    assert (job["state"], job["outcome"], job["exit_code"]) == ("failed", "failed", 200)
    assert job["error"].endswith("it is larger than 1048576 bytes (setting max_response)")
    assert server.output(job["id"]).startswith(b"x" * 512 + b"\n[... ")
    just = server.run({"type": "http", "url": target.on(path + "/just", Reply(body=b"x" * MIB))})
    assert just["state"] == "completed"
