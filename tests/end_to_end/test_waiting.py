"""`?wait=`: the answer comes when the job has ended, or when the time is over; nobody misses an end."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import connect, parse, read_answer
from tests.support.server import Server, timed
from tests.support.target import Reply, Target
from tests.support.waiting import until


def sockets(server: Server) -> int:
    count = 0
    for link in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            count += link.readlink().name.startswith("socket:")
    return count


def test_answer_comes_as_soon_as_the_job_has_ended(server: Server, target: Target, path: str) -> None:
    release = threading.Event()
    job = server.add({"type": "http", "url": target.on(path, Reply(hold=release))})
    target.wait(path)
    threading.Timer(0.3, release.set).start()
    seconds, found = timed(server.get, f"/v1/jobs/{job}?wait=30")
    assert (found["id"], found["state"], found["exit_code"]) == (job, "completed", 200)
    assert 0.2 < seconds < 5


def test_answer_shows_the_job_as_it_is_when_the_time_is_over(server: Server) -> None:
    job = server.add({"type": "exec", "cmd": "sleep 30"}, delay=0.2)
    seconds, found = timed(server.get, f"/v1/jobs/{job}?wait=0.8")
    assert found["state"] == "running"
    assert 0.7 < seconds < 5


@pytest.mark.parametrize("wait", ["", "?wait=0", "?wait=30"])
def test_answer_for_an_ended_job_comes_at_once(server: Server, target: Target, path: str, wait: str) -> None:
    job = server.run({"type": "http", "url": target.on(path)})["id"]
    seconds, found = timed(server.get, f"/v1/jobs/{job}{wait}")
    assert found["state"] == "completed"
    assert seconds < 5


def test_job_that_is_not_there_is_not_waited_for(server: Server) -> None:
    seconds, answer = timed(server.call, "GET", "/v1/jobs/999999?wait=30")
    assert answer.status == 404
    assert seconds < 5


@pytest.mark.parametrize("wait", ["61", "-1", "x", "nan", "1e9", ""])
def test_wrong_time_to_wait_is_400(server: Server, target: Target, path: str, wait: str) -> None:
    job = server.add({"type": "http", "url": target.on(path)})
    answer = server.call("GET", f"/v1/jobs/{job}?wait={wait}")
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (400, "/wait")


def test_attempt_that_fails_but_is_tried_again_is_no_end(server: Server, target: Target, path: str) -> None:
    target.on(path, Reply(500), Reply(500), Reply(200))
    job = server.add(
        {"type": "http", "url": target.url + path}, retry={"max_attempts": 3, "backoff": "fixed", "min_delay": 0.2}
    )
    found = server.get(f"/v1/jobs/{job}?wait=30")
    assert (found["state"], found["attempt"]) == ("completed", 3)


def test_other_ends_are_waited_for_too(server: Server) -> None:
    cancelled = server.add({"type": "exec", "cmd": "sleep 30"}, delay=3600)
    expired = server.add({"type": "exec", "cmd": "sleep 30"}, delay=0.5, ttl=0.4)
    threading.Timer(0.3, server.call, ("POST", f"/v1/jobs/{cancelled}/cancel")).start()
    assert server.get(f"/v1/jobs/{cancelled}?wait=30")["state"] == "cancelled"
    assert server.get(f"/v1/jobs/{expired}?wait=30")["state"] == "failed"


async def ask(port: int, request: bytes) -> tuple[int, Any]:
    """Send a request on a connection of its own; the status and the JSON of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()


def post(path: str, content: object) -> bytes:
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("command", ["http", "exec"])
def test_no_waiter_misses_an_end_however_close_it_comes(
    server: Server, target: Target, path: str, command: str
) -> None:
    """Each job is so short that it may end before, while or after its three waiters come."""
    commands = {"http": {"type": "http", "url": target.on(path)}, "exec": {"type": "exec", "args": ["/bin/true"]}}
    jobs = {"http": 500, "exec": 150}[command]
    gate = asyncio.Semaphore(60)

    async def add_and_wait(number: int) -> list[str]:
        async with gate:
            status, job = await ask(server.port, post("/v1/jobs", {"command": commands[command]}))
            assert status == 201
            await asyncio.sleep(0.0005 * (number % 10))
            path = get(f"/v1/jobs/{job['id']}?wait=30")
            return [answer["state"] for _, answer in await asyncio.gather(*(ask(server.port, path) for _ in range(3)))]

    async def all_jobs() -> list[list[str]]:
        async with asyncio.timeout(25):
            return await asyncio.gather(*map(add_and_wait, range(jobs)))

    states = asyncio.run(all_jobs())
    assert {state for each in states for state in each} == {"completed"}


def test_a_thousand_waiters_for_one_job_hear_of_its_end(server: Server, target: Target, path: str) -> None:
    release = threading.Event()
    job = server.add({"type": "http", "url": target.on(path, Reply(hold=release))})
    before = server.memory_kib()

    async def all_waiters() -> list[str]:
        waiting = [asyncio.create_task(ask(server.port, get(f"/v1/jobs/{job}?wait=60"))) for _ in range(1000)]
        async with asyncio.timeout(30):
            while sockets(server) < 1000:
                await asyncio.sleep(0.05)
            print(f"1,000 waiters take {server.memory_kib() - before} KiB")
            release.set()
            return [answer["state"] for _, answer in await asyncio.gather(*waiting)]

    assert asyncio.run(all_waiters()) == ["completed"] * 1000
    until(lambda: sockets(server) < 500, 10, "the end of all connections")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_goes_is_forgotten_at_once(server: Server, how: str) -> None:
    job = server.add({"type": "exec", "cmd": "sleep 30"}, delay=3600)
    before = sockets(server)
    channels = [connect(server.port) for _ in range(20)]
    for channel in channels:
        channel.sendall(get(f"/v1/jobs/{job}?wait=60"))
    until(lambda: sockets(server) >= before + 15)  # those of earlier requests may just be closing
    for channel in channels:
        if how == "reset":
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        channel.close()
    until(lambda: sockets(server) <= before + 5, 5, "the end of all connections")


def test_client_that_closes_its_half_is_answered_early(server: Server) -> None:
    job = server.add({"type": "exec", "cmd": "sleep 30"}, delay=3600)
    start = time.monotonic()
    with connect(server.port) as channel:
        channel.sendall(get(f"/v1/jobs/{job}?wait=60"))
        channel.shutdown(socket.SHUT_WR)
        answer = parse(read_answer(channel))
    assert (answer.status, answer.json["state"]) == (200, "scheduled")
    assert time.monotonic() - start < 5


def test_waiting_request_is_answered_when_its_job_ends_while_the_server_stops(
    make_server: Starter, target: Target, path: str
) -> None:
    server = make_server("--shutdown-grace", "20").start()
    release = threading.Event()
    job = server.add({"type": "http", "url": target.on(path, Reply(hold=release))})
    target.wait(path)
    with connect(server.port) as channel:
        channel.sendall(get(f"/v1/jobs/{job}?wait=60"))
        server.signal(15)
        until(lambda: "SIGTERM: stopping" in server.log)
        release.set()
        assert parse(read_answer(channel)).json["state"] == "completed"
    assert server.ended() == 0
