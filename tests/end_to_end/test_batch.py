"""Batches on the real server: their jobs run, large ones take little memory, and a crash leaves all of one or none."""

import http.client
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import Answer, connect, parse, read_answer
from tests.support.server import Server
from tests.support.target import Target
from tests.support.waiting import until

PATH = "/v1/jobs/batch"
MIB = 1024 * 1024
COUNT = 10_000


def job(number: int, **members: object) -> dict[str, object]:
    return {"delay": 3600, "command": {"type": "http", "url": f"http://127.0.0.1:9/{number}"} | members}


def large_body(size: int = 64 * MIB) -> bytes:
    """The most jobs that a batch may have, in just under so many bytes."""
    member = {"name": "somebody \u20ac", "with": ["]", "}", {"a": 1}]}
    members = (size // COUNT - 120) // len(json.dumps(member) + ", ")
    jobs = json.dumps([job(number, json=[member] * members) for number in range(COUNT)]).encode()
    assert 0.8 * size < len(jobs) <= size
    return jobs


def head(length: int) -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n".encode()


def waiting(server: Server) -> int:
    return server.get("/jobs/status")["data"]["waiting"]


@contextmanager
def in_background(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_jobs_of_a_batch_run(make_server: Starter, target: Target, path: str) -> None:
    server = make_server().start()
    url = target.on(path)
    jobs = [{"command": {"type": "http", "url": f"{url}?n={number}", "method": "POST"}} for number in range(200)]
    answer = server.call("POST", PATH, jobs)
    assert answer.status == 201
    seen = target.wait(path, 200)
    ids = dict(enumerate(answer.json["ids"]))
    assert {(request.query[0][1], request.header("X-Queue-Job-Id")) for request in seen} == {
        (str(number), str(job_id)) for number, job_id in ids.items()
    }
    assert {server.wait_end(job_id)["state"] for job_id in answer.json["ids"][::20]} == {"completed"}


def peak_kib(server: Server) -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1])


def test_largest_batch_is_never_in_memory_twice(make_server: Starter) -> None:
    body = large_body()
    server = make_server().start()
    assert server.call("POST", PATH, [job(number) for number in range(1000)]).status == 201
    before = peak_kib(server)
    answer = server.call("POST", PATH, body, timeout=100)
    assert answer.status == 201, answer
    assert answer.json["count"] == COUNT
    grown = peak_kib(server) - before
    print(f"a body of {len(body) >> 10} KiB took {grown} KiB")
    cache = 32 * 1024 + 8 * 1024
    assert grown < 1.3 * len(body) / 1024 + cache
    again = server.call("POST", PATH, body, timeout=100)
    assert again.status == 201
    assert peak_kib(server) - before < 1.3 * len(body) / 1024 + cache, "nothing of the first one is left"


def test_bad_batches_leave_no_memory_behind(make_server: Starter) -> None:
    server = make_server().start()
    body = large_body(16 * MIB)
    too_many, bad = body[:-1] + b",{}]", body.replace(b"3600", b"-360", 1)
    peaks: list[int] = []
    for _ in range(6):
        assert server.call("POST", PATH, too_many, timeout=100).status == 413
        assert server.call("POST", PATH, bad, timeout=100).status == 400
        peaks.append(peak_kib(server))
    assert peaks[-1] - peaks[1] < 16 * 1024
    assert waiting(server) == 0


def test_others_are_served_while_a_batch_is_on_its_way(make_server: Starter, target: Target, path: str) -> None:
    server = make_server().start()
    body = large_body(8 * MIB)
    with connect(server.port, 60) as channel:
        channel.sendall(head(len(body)) + body[: len(body) // 2])
        for _ in range(20):
            assert server.run({"type": "http", "url": target.on(path)})["state"] == "completed"
        assert waiting(server) == 0
        channel.sendall(body[len(body) // 2 :])
        assert parse(read_answer(channel)).json["count"] == COUNT
    assert waiting(server) == COUNT


def test_batch_that_is_half_sent_when_the_server_stops_is_503(make_server: Starter) -> None:
    server = make_server("--shutdown-grace", "0").start()
    body = large_body(8 * MIB)
    with connect(server.port, 60) as channel:
        channel.sendall(head(len(body)) + body[: len(body) // 2])
        assert server.call("GET", "/healthz").status == 200
        assert server.stop() == 0
        assert parse(read_answer(channel)).status == 503
    server.start()
    assert waiting(server) == 0


@pytest.mark.parametrize("moment", ["while it arrives", "while it is written", "when it has been answered"])
def test_killed_server_has_all_of_a_batch_or_none(make_server: Starter, moment: str) -> None:
    server = make_server().start()
    body = large_body()
    log = server.db.with_name("q.db-wal")
    started = log.stat().st_size
    answers: list[Answer] = []

    def send() -> None:
        with suppress(OSError, http.client.HTTPException):
            answers.append(server.call("POST", PATH, body, {"Idempotency-Key": "the batch"}, timeout=100))

    with in_background(send):
        if moment == "while it arrives":
            until(lambda: server.memory_kib() > 60 * 1024, 60)
        elif moment == "while it is written":
            until(lambda: log.stat().st_size > started + 8 * MIB, 60)
        else:
            until(lambda: answers, 60)
        server.kill()
    server.start()
    stored = waiting(server)
    assert stored in {0, COUNT}
    assert stored == COUNT or not answers
    again = server.call("POST", PATH, body, {"Idempotency-Key": "the batch"}, timeout=100)
    assert (again.status, again.json["count"]) == (200 if stored else 201, COUNT)
    assert not answers or again.json["ids"] == answers[0].json["ids"]
    assert waiting(server) == COUNT
    with closing(sqlite3.connect(server.db)) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert database.execute("select count(*) from payload").fetchall() == [(COUNT,)]
