"""Work that goes on past its request: 202 with X-Queue-Continue keeps the job running, without a slot."""

import threading
from typing import Any

import pytest

from tests.end_to_end.test_live_output import following
from tests.support.fixtures import Starter
from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.waiting import until


def accepting(heartbeat: str | None = None, value: str = "true", **reply: Any) -> Reply:
    """An answer that says: it goes on."""
    headers = [("X-Queue-Continue", value), *([("X-Queue-Heartbeat", heartbeat)] if heartbeat else [])]
    return Reply(202, b"accepted", headers, **reply)


def continued(server: Server, url: str, **members: Any) -> int:
    """A job that goes on at its target."""
    job = server.add({"type": "http", "url": url}, **members)
    until(lambda: server.job(job)["heartbeat_until"])
    return job


def claim_of(target: Target, path: str) -> str:
    """The claim that the last request named."""
    claim = target.wait(path)[-1].header("X-Queue-Claim")
    assert claim
    return claim


def report(server: Server, target: Target, path: str, job: int, what: str, **body: Any) -> int:
    """Tell how the attempt ended, as the target does; the status of the answer."""
    return server.call("POST", f"/v1/jobs/{job}/attempts/{claim_of(target, path)}/{what}", body).status


def test_job_runs_on_without_a_slot(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--concurrency", "1").start()
    jobs = [continued(server, target.on(path, accepting())) for _ in range(3)]
    assert {server.job(job)["state"] for job in jobs} == {"running"}
    assert server.run({"type": "http", "url": target.on(path + "/other")})["state"] == "completed"
    assert len([line for line in server.log.splitlines() if " continued " in line]) == 3
    assert "…" in server.log
    assert "reports the result" in server.log


def test_target_reports_the_result(server: Server, target: Target, path: str) -> None:
    job = continued(server, target.on(path, accepting()))
    assert server.get(f"/v1/jobs/{job}/attempts")["items"] == []
    assert report(server, target, path, job, "complete", output="the result", exit_code=0) == 200
    ended = server.job(job)
    assert (ended["state"], ended["outcome"], ended["heartbeat_until"]) == ("completed", "succeeded", None)
    assert server.output(job) == b"the result"
    assert len(target.of(path)) == 1


def test_target_reports_a_failure_and_the_job_is_tried_again(server: Server, target: Target, path: str) -> None:
    url = target.on(path, accepting(), Reply(200, b"second"))
    job = continued(server, url, retry={"max_attempts": 2, "min_delay": 0})
    assert report(server, target, path, job, "fail", error="no luck") == 200
    ended = server.wait_end(job)
    assert (ended["state"], ended["attempt"]) == ("completed", 2)
    first, _ = server.get(f"/v1/jobs/{job}/attempts")["items"]
    assert (first["outcome"], first["error"]) == ("failed", "no luck")


def test_target_that_falls_silent_times_out(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path, accepting("0.5"))})
    ended = server.wait_end(job)
    assert (ended["state"], ended["outcome"]) == ("failed", "timed_out")
    assert ended["reason"] == "no heartbeat came in time from its target"


def test_setting_says_how_long_silence_may_last(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--heartbeat-timeout", "1").start()
    job = server.add({"type": "http", "url": target.on(path, accepting("nonsense"))})
    assert server.wait_end(job)["outcome"] == "timed_out"


def test_deadline_ends_it_however_alive_it_is(server: Server, target: Target, path: str) -> None:
    job = continued(server, target.on(path, accepting("3600")), deadline=1.5)
    ended = server.wait_end(job)
    assert (ended["state"], ended["outcome"]) == ("failed", "timed_out")
    assert "deadline" in ended["reason"]


def test_it_survives_a_restart(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "0").start()
    job = continued(server, target.on(path, accepting()))
    assert server.stop() == 0
    server.start()
    assert server.job(job)["state"] == "running"
    server.kill()
    server.start()
    assert server.job(job)["state"] == "running"
    assert report(server, target, path, job, "complete") == 200
    assert server.job(job)["state"] == "completed"
    assert len(target.of(path)) == 1


def test_cancelled_one_ends_at_once(server: Server, target: Target, path: str) -> None:
    job = continued(server, target.on(path, accepting()))
    assert server.call("POST", f"/v1/jobs/{job}/cancel").status == 200
    assert server.job(job)["state"] == "cancelled"
    assert report(server, target, path, job, "complete") == 409


@pytest.mark.parametrize("expect", ["200", "200-201,203"])
def test_202_that_is_not_expected_is_a_failure(server: Server, target: Target, path: str, expect: str) -> None:
    job = server.run({"type": "http", "url": target.on(path, accepting()), "expect": expect})
    assert (job["state"], job["exit_code"]) == ("failed", 202)


def test_callback_is_done_with_its_request(server: Server, target: Target, path: str) -> None:
    callback = {"type": "http", "url": target.on(path + "/callback", accepting())}
    job = server.run({"type": "http", "url": target.on(path)}, callback_done=callback)
    target.wait(path + "/callback")
    (id_,) = [item["id"] for item in server.get("/v1/jobs?limit=10")["items"] if item["parent_id"] == job["id"]]
    ended = server.wait_end(id_)
    assert (ended["state"], ended["exit_code"]) == ("completed", 202)


def test_follower_gets_the_answer_and_then_the_result(server: Server, target: Target, path: str) -> None:
    go = threading.Event()
    job = server.add({"type": "http", "url": target.on(path, accepting(hold=go))})
    target.wait(path)
    with following(server, job) as response:
        go.set()
        assert response.read(8) == b"accepted"
        until(lambda: server.job(job)["heartbeat_until"])
        assert report(server, target, path, job, "complete", output="the result") == 200
        assert response.read() == b"the result"


def test_follower_who_comes_later_gets_the_result(server: Server, target: Target, path: str) -> None:
    job = continued(server, target.on(path, accepting()))
    assert server.output(job) == b""
    with following(server, job) as response:
        assert report(server, target, path, job, "complete", output="the result") == 200
        assert response.read() == b"the result"


def test_result_that_comes_before_the_answer_counts(server: Server, target: Target, path: str) -> None:
    go = threading.Event()
    job = server.add({"type": "http", "url": target.on(path, Reply(500, b"late", hold=go))})
    target.wait(path)
    with following(server, job) as response:
        assert report(server, target, path, job, "complete", output="early") == 200
        assert server.job(job)["state"] == "completed"
        go.set()
        assert response.read() == b"lateearly"
    assert server.job(job)["state"] == "completed"
    assert server.output(job) == b"early"
