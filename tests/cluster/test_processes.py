"""`processes`: several nodes behind one port, with a parent that keeps them going."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import databases
from tests.support.server import PROGRAM, Server, running
from tests.support.target import Target
from tests.support.waiting import until

COUNT = 3
FLAGS = ("--processes", str(COUNT), "--concurrency", "20", "--exec", "any")


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A parent with its processes."""
    with (
        databases.database(databases.postgres_server()) as url,
        running(tmp_path_factory.mktemp("family"), *FLAGS, db=url) as server,
    ):
        until(lambda: len(up(server)) == COUNT, 20, "the start of all processes")
        yield server


def children(server: Server) -> list[int]:
    """The server processes, in the order in which they were started."""
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def up(server: Server) -> list[str]:
    """The address lines of the log."""
    return [line for line in server.log.splitlines() if "listens on" in line]


def has_started_again(server: Server, pid: int, starts: int) -> bool:
    return pid not in children(server) and len(up(server)) > starts


def test_processes_are_nodes_with_names_of_their_own(family: Server) -> None:
    rows = databases.run_sql(family.db_url, "select distinct name from node order by name")  # one may have died before
    assert [name[-2:] for (name,) in rows] == ["-1", "-2", "-3"]
    until(lambda: family.get("/jobs/status")["data"]["max_threads"] == COUNT * 20)


def test_connections_are_shared_out(family: Server) -> None:
    """Whichever process takes a connection runs what is asked for there, as long as it has slots."""
    jobs = [family.add({"type": "exec", "cmd": "sleep 0.1"}) for _ in range(40)]
    for job in jobs:
        family.wait_end(job)
    rows = databases.run_sql(family.db_url, f"select distinct node_id from attempt where job_id >= {jobs[0]}")
    assert len(rows) == COUNT


def test_process_that_dies_is_started_again_and_nobody_is_refused(family: Server) -> None:
    pid, starts = children(family)[0], len(up(family))
    os.kill(pid, signal.SIGKILL)
    until(lambda: "has ended with signal 9" in family.log, 10)
    for _ in range(20):
        assert family.call("GET", "/healthz").status == 200
    until(lambda: has_started_again(family, pid, starts), 20, "the next process")


def test_rolling_restart_loses_nothing_and_repeats_nothing(family: Server, target: Target, path: str) -> None:
    command = {"type": "http", "url": target.on(path), "method": "POST"}
    jobs: list[int] = []
    for pid in children(family):
        starts = len(up(family))
        os.kill(pid, signal.SIGTERM)
        while not has_started_again(family, pid, starts):
            answer = family.call("POST", "/v1/jobs", {"command": {**command, "body": str(len(jobs))}})
            if answer.status == 201:
                jobs.append(answer.json["id"])
            else:
                assert answer.status == 503, answer
    assert jobs
    assert {family.wait_end(job)["state"] for job in jobs} == {"completed"}
    assert sorted(int(request.body) for request in target.of(path)) == [*range(len(jobs))]


def test_processes_end_with_their_parent_however_it_ends(tmp_path: Path, postgres_url: str) -> None:
    server = Server(tmp_path, "--processes", "2", db=postgres_url).start()
    until(lambda: len(up(server)) == 2, 20)
    pids = children(server)
    server.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 15, "the end of the processes")


def test_signal_stops_all_once_also_if_all_are_signalled(tmp_path: Path, postgres_url: str) -> None:
    server = Server(tmp_path, "--processes", "2", "--exec", "any", "--shutdown-grace", "20", db=postgres_url).start()
    until(lambda: len(up(server)) == 2, 20)
    job = server.add({"type": "exec", "cmd": "sleep 2; echo done"})
    server.wait_state(job, "running")
    for pid in (*children(server), server.pid):
        os.kill(pid, signal.SIGTERM)
    assert server.ended(20) == 0
    assert "again: interrupting" not in server.log
    rows = databases.run_sql(postgres_url, "select state from job")
    assert [row[0] for row in rows] == ["completed"]


@pytest.mark.parametrize("flag", ["--db=sqlite:///q.db", "--port=1"])
def test_processes_that_can_not_be_say_why(tmp_path: Path, postgres_url: str, flag: str) -> None:
    db = () if flag.startswith("--db") else ("--db", postgres_url + "_missing")
    found = subprocess.run(
        (*PROGRAM, "serve", "--processes", "2", flag, *db),
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert found.stderr.strip()
    if not db:
        assert "2 processes can't share an SQLite file" in found.stderr
