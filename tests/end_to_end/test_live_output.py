"""Following outputs over HTTP: as they come, to the end of the attempt, and no longer than anybody cares."""

import contextlib
import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import connect
from tests.support.server import Server, timed
from tests.support.target import NEVER, Reply, Target
from tests.support.waiting import until

MIB = 1024 * 1024


@contextmanager
def following(server: Server, job: int, query: str = "") -> Iterator[http.client.HTTPResponse]:
    """The answer to a request to follow an output; it may be read as it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", f"/v1/jobs/{job}/output?follow=1{query}")
        response = connection.getresponse()
        assert response.status == 200, response.read()
        yield response
    finally:
        connection.close()


def exactly(response: http.client.HTTPResponse, size: int) -> bytes:
    """So many bytes, as soon as they are there."""
    data = b""
    while len(data) < size and (piece := response.read1(size - len(data))):
        data += piece
    return data


def gated(folder: Path, *steps: str) -> dict[str, str]:
    """A command that does each step once the test has made a file of its number."""
    waits = [f"until [ -e {folder}/{n} ]; do sleep 0.01; done; {step}" for n, step in enumerate(steps)]
    return {"type": "exec", "cmd": "\n".join(waits)}


def test_output_is_seen_while_the_command_writes_it(server: Server, tmp_path: Path) -> None:
    job = server.add(gated(tmp_path, "echo one", "echo two", "echo three"))
    with following(server, job) as response:
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        for n, line in enumerate([b"one\n", b"two\n", b"three\n"]):
            (tmp_path / str(n)).touch()
            assert exactly(response, len(line)) == line
        assert response.read() == b""
    assert server.job(job)["state"] == "completed"  # known at the end of the stream
    assert server.output(job) == b"one\ntwo\nthree\n"


def test_response_is_seen_while_the_target_sends_it(server: Server, target: Target, path: str) -> None:
    go = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"first"
        until(go.is_set, 30)
        yield b"second"

    job = server.add({"type": "http", "url": target.on(path, Reply(pieces=pieces, is_chunked=True))})
    with following(server, job) as response, following(server, job, "&stream=head") as head:
        assert exactly(response, 5) == b"first"
        assert exactly(head, 8) == b"HTTP/1.1"
        go.set()
        assert response.read() == b"second"
        assert b"200 Reply" in head.read()


def test_who_keeps_up_sees_every_byte_however_many_there_are(server: Server, tmp_path: Path) -> None:
    """Far more than the output limit, with pieces that end anywhere; the test sets the pace."""
    count = "i=0; while [ $i -lt 2000 ]; do echo line $i of the output, and some more; i=$((i+1)); done"
    step = f"{count}; head -c 1000003 /dev/zero"
    lines = b"".join(b"line %d of the output, and some more\n" % n for n in range(2000)) + bytes(1_000_003)
    job = server.add(gated(tmp_path, *[step] * 6))
    with following(server, job) as response:
        for n in range(6):
            (tmp_path / str(n)).touch()
            assert exactly(response, len(lines)) == lines
        assert response.read() == b""
    assert len(server.output(job)) < 2 * MIB
    assert server.job(job)["state"] == "completed"


def test_who_comes_late_gets_what_is_kept_and_a_mark(server: Server, tmp_path: Path) -> None:
    job = server.add(gated(tmp_path, f"printf begin; head -c {5 * MIB} /dev/zero; printf middle", "printf end"))
    (tmp_path / "0").touch()
    until(lambda: server.output(job).endswith(b"middle"))
    with following(server, job) as response:
        assert exactly(response, 5) == b"begin"
        (tmp_path / "1").touch()
        rest = response.read()
    assert b" bytes dropped ...]\n" in rest
    assert rest.endswith(b"\0middleend")
    assert len(rest) < 2 * MIB + 100


def test_waiting_job_is_followed_from_its_start(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path, Reply(body=b"at last"))}, delay=1)
    with following(server, job) as response:
        assert server.job(job)["state"] == "scheduled"
        assert response.read() == b"at last"
    assert server.job(job)["state"] == "completed"


@pytest.mark.parametrize("query", ["", "&attempt=1"])
def test_final_job_is_answered_with_its_stored_output_at_once(
    server: Server, target: Target, path: str, query: str
) -> None:
    job = server.run({"type": "http", "url": target.on(path, Reply(body=b"x" * 200_000))})["id"]
    with following(server, job, query) as response:
        assert response.read() == b"x" * 200_000
    with following(server, job, query + "&stream=stderr") as response:
        assert response.read() == b""


def test_each_attempt_is_followed_to_its_end(server: Server, target: Target, path: str) -> None:
    url = target.on(path, Reply(500, b"one", delay=0.2), Reply(200, b"two", delay=0.2))
    job = server.add({"type": "http", "url": url}, retry={"max_attempts": 2, "min_delay": 0.5, "jitter": 0})
    with following(server, job) as first:
        assert first.read() == b"one"
    assert server.job(job)["state"] == "scheduled"
    with following(server, job) as again, following(server, job, "&attempt=2") as second:
        with following(server, job, "&attempt=1") as first:
            assert first.read() == b"one"
        assert (again.read(), second.read()) == (b"two", b"two")
    assert server.job(job)["state"] == "completed"


def test_follower_of_a_job_that_never_starts_again_ends_with_it(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path, Reply(500, delay=0.3))})
    target.wait(path)
    with following(server, job, "&attempt=2") as response:
        assert response.read() == b""
    assert server.job(job)["state"] == "failed"


def test_head_of_a_followed_output_does_not_wait(server: Server, target: Target) -> None:
    job = server.add({"type": "http", "url": target.url}, delay=3600)
    seconds, answer = timed(server.call, "HEAD", f"/v1/jobs/{job}/output?follow=1")
    assert (answer.status, answer.body) == (200, b"")
    assert seconds < 5


def test_client_that_goes_away_is_forgotten(server: Server, target: Target, path: str) -> None:
    waiting = server.add({"type": "http", "url": target.url}, delay=3600)
    running = server.add({"type": "http", "url": target.on(path, NEVER), "timeout": 60})
    target.wait(path)
    before = open_files(server)
    for job in (waiting, running):
        with following(server, job):
            until(lambda: open_files(server) - before)
        until(lambda: not open_files(server) - before)


def open_files(server: Server) -> set[str]:
    """What the server has open, by names that tell one socket from the next; others may be closed meanwhile."""
    names = set[str]()
    for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.add(str(descriptor.readlink()))
    return names


def test_client_that_does_not_read_costs_little_memory_and_holds_nothing_up(
    make_server: Starter, tmp_path: Path
) -> None:
    server = make_server("--exec", "any").start()
    server.run({"type": "exec", "cmd": "true"})
    job = server.add(gated(tmp_path, f"head -c {200 * MIB} /dev/zero; printf end"))
    before = server.memory_kib()
    with connect(server.port) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        channel.sendall(b"GET /v1/jobs/%d/output?follow=1 HTTP/1.1\r\nHost: h\r\n\r\n" % job)
        assert channel.recv(15) == b"HTTP/1.1 200 OK"
        (tmp_path / "0").touch()
        assert server.wait_end(job)["state"] == "completed"
        grown = server.memory_kib() - before
        print(f"200 MiB that nobody reads: memory + {grown / 1024:.0f} MiB")
        assert grown < 40 * 1024


def test_stop_ends_followers_of_waiting_jobs_at_once(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "20").start()
    release = threading.Event()
    running = server.add({"type": "http", "url": target.on(path, Reply(hold=release, body=b"done"))})
    waiting = server.add({"type": "http", "url": target.url}, delay=3600)
    target.wait(path)
    with following(server, waiting) as of_waiting, following(server, running) as of_running:
        server.signal(signal.SIGTERM)
        seconds, rest = timed(of_waiting.read)
        assert rest == b""
        assert seconds < 3
        release.set()
        assert of_running.read() == b"done"
        assert server.ended(5) == 0


def test_stop_is_not_held_up_by_followers(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "0.1", "--exec", "any").start()
    command = server.add({"type": "exec", "cmd": "trap 'echo bye; exit' TERM; echo hi; sleep 60 & wait"})
    request = server.add({"type": "http", "url": target.on(path, NEVER)})
    target.wait(path)
    with following(server, command) as of_command, following(server, request) as of_request:
        assert exactly(of_command, 3) == b"hi\n"
        seconds, code = timed(server.stop)
        assert of_command.read() == b"bye\n"
        assert of_request.read() == b""
    assert code == 0
    assert seconds < 4
    server.start()
    until(lambda: server.get(f"/v1/jobs/{command}/attempts")["items"])
    assert server.output(command, "?attempt=1") == b"hi\nbye\n"


def test_stop_is_not_held_up_by_a_client_that_does_not_read(make_server: Starter) -> None:
    server = make_server("--shutdown-grace", "0", "--exec", "any").start()
    job = server.add({"type": "exec", "cmd": "yes"})
    with connect(server.port) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        channel.sendall(b"GET /v1/jobs/%d/output?follow=1 HTTP/1.1\r\nHost: h\r\n\r\n" % job)
        until(lambda: int(server.call("GET", f"/v1/jobs/{job}/output").headers["X-Queue-Output-Size"]) > 20 * MIB)
        seconds, code = timed(server.stop)
    print(f"stopped after {seconds:.1f} s")
    assert code == 0
    assert seconds < 4


def test_cancelled_job_keeps_what_it_printed(server: Server, tmp_path: Path) -> None:
    job = server.add(
        {"type": "exec", "cmd": "trap '' TERM; echo out; echo err >&2; echo $$ >pid; sleep 60", "cwd": str(tmp_path)}
    )
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    begin = time.monotonic()
    answer = server.call("POST", f"/v1/jobs/{job}/cancel")
    assert answer.status in (200, 202)
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert time.monotonic() - begin < 1
    assert server.wait_end(job)["state"] == "cancelled"
    assert server.output(job) == b"out\n"
    assert server.output(job, "?stream=stderr") == b"err\n"
    (attempt,) = server.get(f"/v1/jobs/{job}/attempts")["items"]
    assert attempt["outcome"] == "cancelled"


def test_follower_ends_when_its_waiting_job_is_cancelled(server: Server, target: Target) -> None:
    job = server.add({"type": "http", "url": target.url}, delay=3600)
    with following(server, job) as response:
        assert server.call("POST", f"/v1/jobs/{job}/cancel").status == 200
        assert response.read() == b""
