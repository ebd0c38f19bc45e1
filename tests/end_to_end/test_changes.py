"""Changing jobs that exist: cancel, retry, run now, change, delete; and keys that make a job only once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.fixtures import Starter
from tests.support.server import Server, timed
from tests.support.target import Reply, Target
from tests.support.waiting import until

LATER = 1000


def ask(server: Server, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    answer = server.call(method, path, body)
    return answer.status, json.loads(answer.body) if answer.body else None


def test_waiting_job_is_cancelled_with_its_reason_and_its_callback(server: Server, target: Target, path: str) -> None:
    callback = {"type": "http", "url": target.on(path), "method": "POST"}
    job = server.add({"type": "exec", "cmd": "true"}, delay=LATER, callback_done=callback)
    status, cancelled = ask(server, "POST", f"/v1/jobs/{job}/cancel", {"reason": "the customer called"})
    assert (status, cancelled["state"], cancelled["reason"]) == (200, "cancelled", "the customer called")
    told = target.wait(path)[0]
    assert (told.header("X-Queue-State"), told.json["job_id"]) == ("cancelled", job)
    assert ask(server, "POST", f"/v1/jobs/{job}/cancel")[0] == 200
    assert server.get(f"/v1/jobs/{job}/attempts")["items"] == []


def test_running_request_is_aborted_within_a_second(server: Server, target: Target, path: str) -> None:
    held = threading.Event()
    job = server.add({"type": "http", "url": target.on(path, Reply(hold=held))}, retry={"max_attempts": 5})
    target.wait(path)
    seconds, (status, ended) = timed(ask, server, "POST", f"/v1/jobs/{job}/cancel?wait=20", {"reason": "enough"})
    held.set()
    assert (status, ended["state"], ended["reason"], ended["outcome"]) == (200, "cancelled", "enough", "cancelled")
    assert seconds < 5
    assert len(target.of(path)) == 1


def test_running_command_and_its_children_are_killed(server: Server, tmp_path: Path) -> None:
    mark = tmp_path / "children"
    cmd = f"echo begun; trap '' TERM; (trap '' TERM; sleep 60) & echo $! > {mark}; wait; sleep 60"
    job = server.add({"type": "exec", "cmd": cmd})
    child = until(lambda: mark.exists() and mark.read_text().strip())
    status, asked = ask(server, "POST", f"/v1/jobs/{job}/cancel")
    assert (status, asked["state"], asked["cancel_requested"]) == (202, "running", True)
    assert server.wait_end(job)["state"] == "cancelled"
    until(lambda: not Path(f"/proc/{child}").exists())
    assert server.output(job) == b"begun\n"


def test_ended_job_can_not_be_cancelled(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": "true"})["id"]
    status, problem = ask(server, "POST", f"/v1/jobs/{job}/cancel")
    assert status == 409
    assert problem["detail"] == f"job {job} has completed; only a job that has not ended can be cancelled"


def test_failed_job_runs_again_changed(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": "exit 3"}, tags={"a": "b"})["id"]
    status, waiting = ask(server, "POST", f"/v1/jobs/{job}/retry", {"command": {"cmd": "echo fine"}, "priority": 9})
    assert (status, waiting["priority"]) == (200, 9)
    assert waiting["state"] in {"available", "running", "completed"}  # as it is when it is looked at
    ended = server.wait_end(job)
    assert (ended["state"], ended["attempt"], ended["tags"]) == ("completed", 2, {"a": "b"})
    assert [one["outcome"] for one in server.get(f"/v1/jobs/{job}/attempts")["items"]] == ["failed", "succeeded"]
    assert server.output(job) == b"fine\n"


def test_retried_job_has_all_its_attempts_again(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": "false"}, retry={"max_attempts": 2, "backoff": "none"})["id"]
    assert ask(server, "POST", f"/v1/jobs/{job}/retry")[0] == 200
    assert server.wait_end(job)["attempt"] == 4


def test_job_that_has_not_ended_can_not_be_tried_again(server: Server) -> None:
    job = server.add({"type": "exec", "cmd": "true"}, delay=LATER)
    status, problem = ask(server, "POST", f"/v1/jobs/{job}/retry")
    assert status == 409
    assert "is scheduled" in problem["detail"]


def test_waiting_job_is_changed_and_found_by_what_it_is_now(server: Server) -> None:
    job = server.add({"type": "http", "url": "http://127.0.0.1:1/a", "timeout": 9}, delay=LATER, tags={"x": "1"})
    patch = {"command": {"timeout": None, "json": {"big": 2**70}}, "tags": {"x": None, "y": "2"}, "queue": "mail"}
    status, changed = ask(server, "PATCH", f"/v1/jobs/{job}", patch)
    assert (status, changed["state"], changed["queue"]) == (200, "scheduled", "mail")
    assert changed["command"] == {"type": "http", "url": "http://127.0.0.1:1/a", "json": {"big": 2**70}}
    assert [one["id"] for one in server.get("/v1/jobs?tag.y=2&queue=mail")["items"]] == [job]
    assert server.get("/v1/jobs?tag.x=1&queue=mail")["items"] == []


def test_bad_change_names_everything_that_is_wrong(server: Server) -> None:
    job = server.add({"type": "exec", "cmd": "true"}, delay=LATER)
    status, problem = ask(server, "PATCH", f"/v1/jobs/{job}", {"priority": 2000, "command": {"cmd": None}, "ttl": "x"})
    assert status == 400
    assert {error["pointer"] for error in problem["errors"]} == {"/priority", "/command", "/ttl"}
    assert server.job(job)["priority"] == 500
    for body in (b"", b"[]", b"null", b"{"):
        assert server.call("PATCH", f"/v1/jobs/{job}", body).status == 400


def test_command_can_not_be_smuggled_in_by_a_change(make_server: Starter) -> None:
    server = make_server("--exec", "off").start()
    job = server.add({"type": "http", "url": "http://127.0.0.1:1/"}, delay=LATER)
    command = {"command": {"type": "exec", "url": None, "cmd": "true"}}
    assert ask(server, "PATCH", f"/v1/jobs/{job}", command)[0] == 403
    ask(server, "POST", f"/v1/jobs/{job}/cancel")
    status, problem = ask(server, "POST", f"/v1/jobs/{job}/retry", command)
    assert (status, problem["errors"][0]["pointer"]) == (403, "/command")
    assert server.job(job)["state"] == "cancelled"


def test_scheduled_job_is_run_now(server: Server) -> None:
    job = server.add({"type": "exec", "cmd": "true"}, delay=LATER)
    assert ask(server, "POST", f"/v1/jobs/{job}/run")[1]["state"] in {"available", "running", "completed"}
    assert server.wait_end(job)["state"] == "completed"
    assert ask(server, "POST", f"/v1/jobs/{job}/run")[0] == 409


def test_ended_job_is_deleted_with_all_that_belongs_to_it(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": "echo x"}, tags={"gone": "yes"})["id"]
    assert server.call("DELETE", f"/v1/jobs/{job}").status == 204
    for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/attempts", f"/v1/jobs/{job}/output"):
        assert server.call("GET", path).status == 404
    assert server.get("/v1/jobs?tag.gone=yes")["items"] == []
    assert server.call("DELETE", f"/v1/jobs/{job}").status == 404


def test_waiting_job_is_not_deleted(server: Server) -> None:
    job = server.add({"type": "exec", "cmd": "true"}, delay=LATER)
    assert server.call("DELETE", f"/v1/jobs/{job}").status == 409


@pytest.mark.parametrize("what", ["cancel", "retry", "run", "explain"])
def test_job_that_is_not_there_is_not_found(server: Server, what: str) -> None:
    method = "GET" if what == "explain" else "POST"
    for job in ("999999", "0", "x", "99999999999999999999"):
        assert server.call(method, f"/v1/jobs/{job}/{what}").status == 404


def test_job_that_has_not_started_in_time_fails_and_says_so(make_server: Starter, target: Target, path: str) -> None:
    held = threading.Event()
    server = make_server("--concurrency", "1").start()
    first = server.add({"type": "http", "url": target.on(path, Reply(hold=held))})
    target.wait(path)
    late = server.add({"type": "http", "url": target.on(f"{path}/never")}, ttl=0.5)
    ended = server.wait_end(late)
    held.set()
    assert (ended["state"], ended["attempt"]) == ("failed", 0)
    assert ended["reason"].startswith("not started by its expires_at, 20")
    assert server.wait_end(first)["state"] == "completed"
    assert target.of(f"{path}/never") == []


def test_thousand_posts_with_one_key_make_one_job(server: Server) -> None:
    body = {"command": {"type": "exec", "cmd": "true"}, "delay": LATER, "idempotency_key": "only-once"}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ask(server, "POST", "/v1/jobs", body), range(1000)))
    assert {job["id"] for _, job in answers} == {answers[0][1]["id"]}
    assert sorted(status for status, _ in answers)[-2:] == [200, 201]


def test_key_survives_a_kill(make_server: Starter, tmp_path: Path) -> None:
    body = {"command": {"type": "exec", "cmd": "true"}, "delay": LATER, "idempotency_key": "k"}
    server = make_server("--exec", "any", folder=tmp_path).start()
    first = ask(server, "POST", "/v1/jobs", body)
    server.kill()
    again = make_server("--exec", "any", folder=tmp_path).start()
    status, job = ask(again, "POST", "/v1/jobs", body)
    assert (first[0], status, job["id"]) == (201, 200, first[1]["id"])
    status, problem = ask(again, "POST", "/v1/jobs", body | {"priority": 1})
    assert status == 422
    assert str(job["id"]) in problem["detail"]
    ask(again, "POST", f"/v1/jobs/{job['id']}/cancel")
    assert again.call("DELETE", f"/v1/jobs/{job['id']}").status == 204
    assert ask(again, "POST", "/v1/jobs", body)[0] == 410


def test_first_api_takes_keys_too(server: Server) -> None:
    body = {"command": {"type": "exec", "cmd": "true"}, "delay": LATER, "idempotency_key": "classic"}
    assert ask(server, "POST", "/jobs/add", body) == ask(server, "POST", "/jobs/add", body)


def test_explanation_says_what_happens_next(server: Server) -> None:
    scheduled = server.add({"type": "exec", "cmd": "true"}, delay=LATER)
    told = server.get(f"/v1/jobs/{scheduled}/explain")
    assert told["state"] == "scheduled"
    assert told["sentence"].startswith("put off by its delay or run_at: it is due in 16.")
    failed = server.run({"type": "exec", "cmd": "exit 7"})["id"]
    told = server.get(f"/v1/jobs/{failed}/explain")
    assert "exit code 7" in told["sentence"]
    assert f"queue-server retry {failed}" in told["sentence"]
    assert told["facts"]["exit_code"] == 7
    running = server.add({"type": "exec", "cmd": "sleep 60", "timeout": 90})
    server.wait_state(running, "running")
    assert "it is ended at" in server.get(f"/v1/jobs/{running}/explain")["sentence"]
    ask(server, "POST", f"/v1/jobs/{running}/cancel")


def test_explanation_counts_who_is_before_it(make_server: Starter, target: Target, path: str) -> None:
    held = threading.Event()
    server = make_server("--concurrency", "1").start()
    url = target.on(path, Reply(hold=held))
    jobs = [server.add({"type": "http", "url": url}) for _ in range(4)]
    target.wait(path)
    told = server.get(f"/v1/jobs/{jobs[3]}/explain")
    held.set()
    assert (told["facts"]["ahead"], told["facts"]["free_slots"]) == (2, 0)
    assert "all 1 job slots are taken and 2 jobs are before it" in told["sentence"]


def test_report_may_be_repeated_and_its_words_may_be_anything(server: Server, target: Target, path: str) -> None:
    accepted = Reply(202, b"", [("X-Queue-Continue", "true")])
    job = server.add({"type": "http", "url": target.on(path, accepted)})
    until(lambda: server.job(job)["heartbeat_until"])
    attempt = f"/v1/jobs/{job}/attempts/1"
    status, told = ask(server, "POST", f"{attempt}/heartbeat", {"message": "line 1\nline 2\0 " + "x" * 5000})
    assert (status, told["cancel_requested"]) == (200, False)
    reason = server.job(job)["reason"]
    assert (reason[:20], len(reason)) == ("line 1 line 2 xxxxxx", 1000)
    for _ in range(2):
        status, ended = ask(server, "POST", f"{attempt}/fail", {"error": "first\nsecond"})
        assert (status, ended["state"], ended["error"]) == (200, "failed", "first second")
    status, problem = ask(server, "POST", f"{attempt}/complete")
    assert (status, problem["detail"]) == (409, f"job {job} has failed; stop working on it")
