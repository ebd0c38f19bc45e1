"""A full disk: nothing is acknowledged, nothing is lost, and all goes on when there is room again."""

import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.fixtures import Starter
from tests.support.mounts import fill, small_disk
from tests.support.raw import Answer
from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.waiting import until


class Stuck(NamedTuple):
    """The server, the job that ended while nothing could be written, and the file that fills the disk."""

    server: Server
    job: int
    filler: Path


def add_until_refused(server: Server, url: str, accepted: list[int]) -> Answer:
    """What is left of the write-ahead log may take a few more."""
    for _ in range(2000):
        answer = server.call("POST", "/jobs/add", {"command": {"type": "http", "url": url, "body": "x" * 2000}})
        if answer.status != 200:
            return answer
        accepted.append(answer.json["job_id"])
    raise AssertionError("the disk is not full")


def test_full_disk_refuses_new_jobs_and_keeps_the_ends_of_running_ones(
    make_server: Starter, target: Target, path: str, tmp_path: Path
) -> None:
    release = threading.Event()
    target.on(path, Reply(hold=release, body=b"y" * 50_000))
    with small_disk(tmp_path / "disk") as disk:
        server = make_server()
        server.db = disk / "q.db"
        server.start()
        command = {"type": "http", "url": target.url + path}
        running = server.add(
            command, callback_done={"type": "http", "url": target.on(path + "/done"), "method": "POST"}
        )
        target.wait(path)
        filler = fill(disk)
        accepted: list[int] = []
        answer = add_until_refused(server, target.on(path + "/more"), accepted)
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "full" in answer.json["data"]
        release.set()
        until(lambda: "the store can't be written, trying again" in server.log, 15)
        assert server.call("GET", "/healthz").status == 200
        assert server.job(running)["state"] == "running"
        assert server.call("POST", "/v1/jobs", {"command": command}).status == 503
        filler.unlink()
        assert server.wait_end(running)["state"] == "completed"
        assert target.wait(path + "/done")[0].json["exit_code"] == 200
        assert server.run({"type": "http", "url": target.on(path + "/again")})["state"] == "completed"
        assert {server.wait_end(job)["state"] for job in accepted} <= {"completed"}
        assert server.stop() == 0
        assert len(target.of(path)) == 1
        assert len(target.of(path + "/done")) == 1
        with closing(sqlite3.connect(server.db)) as database:
            assert database.execute("pragma integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def stuck(make_server: Starter, target: Target, path: str, tmp_path: Path) -> Iterator[Stuck]:
    """A server that can't write the end of a job: its disk is full."""
    release = threading.Event()
    target.on(path, Reply(hold=release), Reply(200))
    with small_disk(tmp_path / "disk", "4m") as disk:
        server = make_server("--shutdown-grace", "1")
        server.db = disk / "q.db"
        server.start()
        job = server.add({"type": "http", "url": target.url + path})
        target.wait(path)
        filler = fill(disk)
        add_until_refused(server, target.on(path + "/more"), [])
        release.set()
        until(lambda: "the store can't be written, trying again" in server.log, 15)
        yield Stuck(server, job, filler)
        filler.unlink()
        server.start()
        assert server.wait_end(job)["state"] == "completed", "nothing was lost"
        server.kill()


def test_server_that_can_not_write_ends_by_the_third_signal(stuck: Stuck) -> None:
    server = stuck.server
    assert server.process
    for number in range(1, 4):
        if server.process.poll() is None:
            server.signal(signal.SIGTERM)
        if number < 3:
            until(lambda number=number: server.process.poll() is not None or server.log.count("SIGTERM") >= number)
    assert server.ended(10) in (0, 130)


def test_server_that_can_not_write_ends_by_itself_after_one_signal(stuck: Stuck) -> None:
    assert stuck.server.stop(within_s=40) == 0
    assert "the ends of jobs are lost: their jobs will run again" in stuck.server.log
