"""kill -9: what ran is given back at the next start, and a job that kills its node does not do so for ever."""

import sqlite3
import subprocess
import time
from contextlib import closing

from tests.support.fixtures import Starter
from tests.support.target import NEVER, OK, Reply, Target
from tests.support.waiting import until


def test_running_jobs_of_a_killed_server_run_again_at_once(make_server: Starter, target: Target, path: str) -> None:
    server = make_server().start()
    target.on(path, *[NEVER] * 20, OK)
    jobs = [server.add({"type": "http", "url": f"{target.url}{path}"}) for _ in range(20)]
    target.wait(path, 20)
    server.kill()
    server.start()
    ready = time.monotonic()
    again = target.wait(path, 40)[20:]
    print(f"20 lost jobs run again {(again[-1].at - ready) * 1000:.0f} ms after the address line")
    assert again[-1].at - ready < 2
    assert {request.header("X-Queue-Claim") for request in again} == {"2"}
    assert {server.wait_end(job)["state"] for job in jobs} == {"completed"}
    attempts = server.get(f"/v1/jobs/{jobs[0]}/attempts")["items"]
    assert [attempt["outcome"] for attempt in attempts] == ["lease_expired", "succeeded"]
    assert attempts[0]["error"] == "its node died while it ran"
    with closing(sqlite3.connect(server.db)) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_job_that_was_running_when_its_node_died_three_times_ends_as_failed(
    make_server: Starter, target: Target, path: str
) -> None:
    server = make_server().start()
    deadly = server.add(
        {"type": "http", "url": target.on(path, NEVER)},
        retry={"max_attempts": 10},
        callback_failed={"type": "http", "url": target.on(path + "/failed"), "method": "POST"},
    )
    for death in range(3):
        target.wait(path, death + 1)
        server.kill()
        server.start()
    job = server.wait_end(deadly)
    assert (job["state"], job["reason"], job["attempt"]) == ("failed", "its node died three times while it ran", 3)
    assert target.wait(path + "/failed")[0].json["error"] == "its node died three times while it ran"
    assert server.run({"type": "http", "url": target.on(path + "/other")})["state"] == "completed"
    assert len(target.of(path)) == 3


def test_command_of_a_killed_server_is_not_left_behind(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--exec", "any").start()
    marker = f"sleep 61.{server.pid}"
    job = server.add({"type": "exec", "cmd": f"{marker} & {marker}; true"})
    server.wait_state(job, "running")

    def survivors() -> list[str]:
        found = subprocess.run(["pgrep", "-f", f"^{marker}"], capture_output=True, text=True, check=False)
        return found.stdout.split()

    until(lambda: len(survivors()) == 2)
    server.kill()
    until(lambda: not survivors(), 10, "the end of the command")


def test_ids_are_not_used_again_after_a_crash(make_server: Starter, target: Target, path: str) -> None:
    server = make_server().start()
    ids: list[int] = []
    for _ in range(2):
        ids += [server.add({"type": "http", "url": target.on(path)}) for _ in range(5)]
        server.kill()
        server.start()
    assert ids == sorted(set(ids))
    assert {server.wait_end(job)["state"] for job in ids} == {"completed"}


def test_retry_that_was_planned_survives_a_crash(make_server: Starter, target: Target, path: str) -> None:
    server = make_server().start()
    target.on(path, Reply(500), OK)
    job = server.add({"type": "http", "url": target.url + path}, retry={"max_attempts": 2, "min_delay": 1, "jitter": 0})
    server.wait_state(job, "scheduled")
    server.kill()
    server.start()
    assert server.wait_end(job)["state"] == "completed"
    first, second = target.of(path)
    assert second.at - first.at >= 0.95
