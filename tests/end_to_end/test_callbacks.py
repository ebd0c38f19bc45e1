"""A callback reports the end of a job, whatever became of it."""

from pathlib import Path

import pytest

from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.waiting import until


def http(url: str, **members: object) -> dict[str, object]:
    return {"type": "http", "url": url, **members}


def test_callback_done_arrives_after_a_completed_job(server: Server, target: Target, path: str) -> None:
    target.on(path), target.on(path + "/done")
    job = server.add(
        http(target.url + path), callback_done=http(f"{target.url}{path}/done?id=__JOBID__&s=__STATE__&c=__EXITCODE__")
    )
    request = target.wait(path + "/done")[0]
    assert request.method == "GET"
    assert request.target == f"{path}/done?id={job}&s=completed&c=200"
    assert request.body == b""
    assert request.header("X-Queue-Job-Id") == str(job)
    assert request.header("X-Queue-State") == "completed"
    assert request.header("X-Queue-Exit-Code") == "200"
    assert request.header("X-Queue-Attempts") == "1"


def test_callback_done_arrives_after_a_failed_job_without_callback_failed(
    server: Server, target: Target, path: str
) -> None:
    target.on(path, Reply(503))
    server.add(http(target.url + path), callback_done=http(target.on(path + "/done")))
    request = target.wait(path + "/done")[0]
    assert (request.header("X-Queue-State"), request.header("X-Queue-Exit-Code")) == ("failed", "503")


def test_callback_failed_takes_the_place_of_callback_done_after_a_failure(
    server: Server, target: Target, path: str
) -> None:
    target.on(path, Reply(404))
    server.add(
        http(target.url + path),
        callback_done=http(target.on(path + "/done")),
        callback_failed=http(target.on(path + "/failed")),
    )
    target.wait(path + "/failed")
    assert target.of(path + "/done") == []


def test_callback_failed_is_not_sent_after_a_completed_job(server: Server, target: Target, path: str) -> None:
    job = server.add(http(target.on(path)), callback_failed=http(target.on(path + "/failed")))
    server.wait_end(job)
    parents = [item["parent_id"] for item in server.get("/v1/jobs?limit=1000")["items"]]
    assert job not in parents
    assert target.of(path + "/failed") == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_callback_without_a_body_carries_the_report_as_json(
    server: Server, target: Target, path: str, method: str
) -> None:
    target.on(path, Reply(500, b"no \xff disk"))
    job = server.add(
        http(target.url + path), context="shop", callback_done=http(target.on(path + "/done"), method=method)
    )
    request = target.wait(path + "/done")[0]
    assert request.method == method
    assert request.header("Content-Type") == "application/json"
    assert request.json == {
        "job_id": job,
        "state": "failed",
        "exit_code": 500,
        "attempts": 1,
        "context": "shop",
        "error": "HTTP 500 Internal Server Error",
        "output": "no \ufffd disk",
    }


def test_callback_with_a_body_of_its_own_is_sent_as_written(server: Server, target: Target, path: str) -> None:
    job = server.add(
        http(target.on(path)), callback_done=http(target.on(path + "/done"), json={"id": "__JOBID__", "n": 1})
    )
    assert target.wait(path + "/done")[0].json == {"id": str(job), "n": 1}


def test_output_in_the_report_is_cut_to_64_kib(server: Server, target: Target, path: str) -> None:
    target.on(path, Reply(body=b"x" * 300_000))
    server.add(http(target.url + path), callback_done=http(target.on(path + "/done"), method="POST"))
    assert len(target.wait(path + "/done")[0].json["output"]) == 64 * 1024


def test_exec_callback_runs_with_the_reported_jobs_placeholders(server: Server, target: Target, path: str) -> None:
    target.on(path, Reply(500))
    file = server.folder / "paged"
    job = server.add(
        http(target.url + path),
        callback_failed={
            "type": "exec",
            "cmd": f"echo __JOBID__ __STATE__ __EXITCODE__ > {file}.new; mv {file}.new {file}",
        },
    )
    until(file.exists)
    assert file.read_text() == f"{job} failed 500\n"


def test_http_callback_reports_an_exec_job(server: Server, target: Target, path: str) -> None:
    job = server.add(
        {"type": "exec", "cmd": "echo half; kill -9 $$"}, callback_done=http(target.on(path), method="POST")
    )
    report = target.wait(path)[0].json
    assert (report["job_id"], report["state"], report["exit_code"], report["output"]) == (job, "failed", 137, "half\n")


def test_callback_is_a_job_of_its_own_that_names_its_parent(server: Server, target: Target, path: str) -> None:
    job = server.add(http(target.on(path)), priority=900, context="mine", callback_done=http(target.on(path + "/done")))
    target.wait(path + "/done")
    (callback,) = [item for item in server.get("/v1/jobs?limit=1000")["items"] if item["parent_id"] == job]
    assert (callback["priority"], callback["context"], callback["max_attempts"]) == (900, "mine", 5)
    assert callback["id"] > job
    server.wait_end(callback["id"])
    assert target.wait(path + "/done")[0].header("Idempotency-Key") == str(callback["id"])


def test_callback_has_no_callback_itself(server: Server, target: Target, path: str) -> None:
    job = server.add(http(target.on(path)), callback_done=http(target.on(path + "/done")))
    target.wait(path + "/done")
    chain = [item for item in server.get("/v1/jobs?limit=1000")["items"] if item["id"] > job and item["parent_id"]]
    callbacks = [item["id"] for item in chain if item["parent_id"] == job]
    assert len(callbacks) == 1
    server.wait_end(callbacks[0])
    assert not [item for item in server.get("/v1/jobs?limit=1000")["items"] if item["parent_id"] == callbacks[0]]


def test_callback_is_retried_until_its_target_is_up_again(server: Server, target: Target, path: str) -> None:
    target.on(path + "/done", Reply(503), Reply(never=True, delay=0), Reply(200))
    job = server.add(http(target.on(path)), callback_done=http(target.url + path + "/done", timeout=0.5))
    requests = target.wait(path + "/done", 3)
    assert [request.header("X-Queue-Attempt") for request in requests] == ["1", "2", "3"]
    assert {request.header("X-Queue-Job-Id") for request in requests} == {str(job)}
    assert {request.header("X-Queue-Attempts") for request in requests} == {"1"}
    assert len({request.header("Idempotency-Key") for request in requests}) == 1


def test_callback_is_delivered_after_a_restart_when_target_and_server_were_down(
    make_server: object, tmp_path: Path, target: Target, path: str
) -> None:
    server: Server = make_server("--shutdown-grace", "0").start()
    target.on(path + "/done", Reply(500), Reply(200))
    server.add(http(target.on(path)), callback_done=http(target.url + path + "/done"))
    target.wait(path + "/done")
    assert server.stop() == 0
    server.start()
    assert [r.header("X-Queue-Attempt") for r in target.wait(path + "/done", 2)] == ["1", "2"]
