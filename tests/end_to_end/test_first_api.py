"""The flow of the first API, as a PHP program with curl sees it."""

import json
import re
import time
from datetime import UTC, datetime

import pytest

from queue_server import __version__
from tests.support.server import FORM, Server
from tests.support.target import Reply, Target
from tests.support.waiting import until

CLASSIC_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def test_root_tells_version_and_status(server: Server) -> None:
    assert server.call("GET", "/").body == f'{{"version":"{__version__}","status":"running"}}'.encode()


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json", None])
def test_add_reads_json_whatever_the_content_type_says(
    server: Server, target: Target, path: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = server.call("POST", "/jobs/add", {"command": {"type": "http", "url": target.on(path)}}, headers)
    assert answer.status == 200
    assert answer.type == "application/json"
    assert re.fullmatch(rb'\{"status":"OK","job_id":\d+\}', answer.body)
    target.wait(path)


def test_job_ids_grow(server: Server, target: Target, path: str) -> None:
    ids = [server.add({"type": "http", "url": target.on(path)}) for _ in range(5)]
    assert ids == sorted(set(ids))


def test_status_has_the_first_servers_shape(make_server: object, server: Server) -> None:
    data = server.get("/jobs/status")
    assert list(data) == ["status", "data"]
    assert data["status"] == 200
    assert list(data["data"]) == ["waiting", "working", "max_threads", "free_threads"]
    assert data["data"]["max_threads"] == 100
    assert data["data"]["free_threads"] == 100 - data["data"]["working"]


def test_status_counts_working_and_waiting_jobs(server: Server, target: Target, path: str) -> None:
    before = until(lambda: idle if (idle := server.get("/jobs/status")["data"])["working"] == 0 else None)
    job = server.add({"type": "http", "url": target.on(path, Reply(never=True)), "timeout": 20})
    late = server.add({"type": "http", "url": target.url + path}, delay=3600)
    target.wait(path)
    after = server.get("/jobs/status")["data"]
    assert after["working"] == before["working"] + 1
    assert after["waiting"] == before["waiting"] + 1
    assert server.get(f"/jobs/status/{job}")["data"]["worker_status"] == 1
    assert server.get(f"/jobs/status/{late}")["data"]["worker_status"] == 0


def test_job_status_has_the_first_servers_shape_when_done(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path)}, priority=800)
    server.wait_end(job)
    answer = server.get(f"/jobs/status/{job}")
    data = answer["data"]
    assert answer["status"] == 200
    assert list(data) == ["id", "worker_status", "time_added", "time_completed", "priority", "state"]
    assert (data["id"], data["worker_status"], data["priority"], data["state"]) == (job, 3, 800, "completed")
    assert CLASSIC_TIME.fullmatch(data["time_added"])
    ended = datetime.strptime(data["time_completed"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(ended.timestamp() - time.time()) < 30  # noqa: TID251 (it is the machine's time that is told)


def test_job_status_has_no_end_while_the_job_waits(server: Server, target: Target) -> None:
    job = server.add({"type": "http", "url": target.url}, delay=3600)
    data = server.get(f"/jobs/status/{job}")["data"]
    assert data["time_completed"] is None
    assert data["worker_status"] == 0


def test_job_status_is_99_when_the_job_failed(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path, Reply(500))})
    server.wait_end(job)
    data = server.get(f"/jobs/status/{job}")["data"]
    assert (data["worker_status"], data["state"]) == (99, "failed")


def test_get_returns_the_job_as_it_was_sent_with_its_result(server: Server, target: Target, path: str) -> None:
    sent = {
        "priority": 800,
        "context": "MyCoolApp",
        "command": {"type": "http", "url": target.on(path, Reply(body=b"sent 12 mails")), "timeout": 20},
        "callback_done": {"type": "http", "url": target.on(path + "/done"), "method": "GET"},
        "callback_failed": {"type": "exec", "cmd": "true"},
    }
    job = server.call("POST", "/jobs/add", sent, FORM).json["job_id"]
    server.wait_end(job)
    data = server.get(f"/jobs/get/{job}")["data"]
    for name, value in sent.items():
        assert data[name] == value
    assert (data["id"], data["exit_code"], data["output"], data["attempts"]) == (job, 200, "sent 12 mails", 1)
    assert CLASSIC_TIME.fullmatch(data["time_started"])


@pytest.mark.parametrize("what", ["status", "get"])
@pytest.mark.parametrize("job", ["999999999", "0", "-1", "x", "1.5", "1e3", "9" * 400, "%00", "%F0%9F%90%98", "²"])
def test_unknown_job_is_404_with_the_first_servers_words(server: Server, what: str, job: str) -> None:
    answer = server.call(
        "GET", f"/jobs/{what}/" + job.encode().decode("latin-1") if job.isascii() else "/jobs/get/%C2%B2"
    )
    assert (answer.status, answer.json) == (404, {"status": 404, "data": "Job not found"})


def test_invalid_job_is_400_with_every_error(server: Server) -> None:
    body = {"priority": 5000, "surprise": 1, "command": {"type": "http", "url": "ftp://x", "timeout": -1, "methods": 1}}
    answer = server.call("POST", "/jobs/add", body, FORM)
    assert answer.status == 400
    assert list(answer.json) == ["status", "data", "errors"]
    assert answer.json["status"] == 400
    assert {error["path"] for error in answer.json["errors"]} == {
        "/priority",
        "/surprise",
        "/command/url",
        "/command/timeout",
        "/command/methods",
    }
    assert all(set(error) == {"path", "message"} for error in answer.json["errors"])


def test_http_job_is_sent_with_the_headers_that_tell_who_asks(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path) + "?mailing=1234"})
    request = target.wait(path)[0]
    assert request.method == "GET"
    assert request.target == path + "?mailing=1234"
    assert request.header("User-Agent") == f"QueueServer/{__version__}"
    assert request.header("X-Queue-Job-Id") == str(job)
    assert request.header("X-Queue-Attempt") == "1"
    assert request.header("X-Queue-Claim") == "1"
    assert request.header("Idempotency-Key") == str(job)
    assert request.header("Host") == f"127.0.0.1:{target.port}"


def test_jobs_own_idempotency_key_is_kept(server: Server, target: Target, path: str) -> None:
    server.add({"type": "http", "url": target.on(path), "headers": {"idempotency-key": "mine"}})
    assert target.wait(path)[0].header("Idempotency-Key") == "mine"


def test_job_cannot_forge_the_headers_that_fence(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path), "headers": {"x-queue-job-id": "1", "X-Queue-Claim": "9"}})
    request = target.wait(path)[0]
    assert (request.header("X-Queue-Job-Id"), request.header("X-Queue-Claim")) == (str(job), "1")


def test_exec_job_runs_a_command_and_keeps_its_output(server: Server) -> None:
    job = server.add({"type": "exec", "cmd": "echo out; echo err >&2; exit 3", "expect": 3})
    assert server.wait_end(job)["state"] == "completed"
    data = server.get(f"/jobs/get/{job}")["data"]
    assert (data["output"], data["error_output"], data["exit_code"]) == ("out\n", "err\n", 3)


def test_placeholders_are_replaced_everywhere_each_with_its_encoding(server: Server, target: Target, path: str) -> None:
    context = 'a b&c/"é'
    target.on(path)
    job = server.add(
        {
            "type": "http",
            "url": f"{target.url}{path}?job=__JOBID__&try=__ATTEMPT__&context=__CONTEXT__",
            "headers": {"X-Mine": "job __JOBID__", "Idempotency-Key": "k-__JOBID__"},
            "json": {"job": "__JOBID__", "deep": [{"context": "__CONTEXT__"}]},
        },
        context=context,
    )
    request = target.wait(path)[0]
    assert request.target == f"{path}?job={job}&try=1&context=a%20b%26c%2F%22%C3%A9"
    assert request.header("X-Mine") == f"job {job}"
    assert request.header("Idempotency-Key") == f"k-{job}"
    assert request.json == {"job": str(job), "deep": [{"context": context}]}


def test_placeholders_are_replaced_in_params_and_body(server: Server, target: Target, path: str) -> None:
    url = target.on(path)
    job = server.add({"type": "http", "url": url, "params": {"a": ["__JOBID__"], "c": "__CONTEXT__"}}, context="x&y=z")
    assert target.wait(path)[0].query == [("a[0]", str(job)), ("c", "x&y=z")]
    job = server.add({"type": "http", "url": url, "body": "job __JOBID__, try __ATTEMPT__"})
    assert target.wait(path, 2)[1].body == f"job {job}, try 1".encode()


def test_placeholders_are_replaced_in_commands_quoted_for_the_shell(server: Server) -> None:
    context = "$(echo bad) '\"; echo worse"
    job = server.add(
        {"type": "exec", "cmd": "echo __JOBID__ __CONTEXT__; cat; echo $MINE", "stdin": "<__CONTEXT__>",
         "env": {"MINE": "__ATTEMPT__"}},
        context=context,
    )  # fmt: skip
    server.wait_end(job)
    assert server.output(job).decode() == f"{job} {context}\n<{context}>1\n"


def test_concurrency_of_the_first_clients_is_kept(server: Server, target: Target, path: str) -> None:
    """Two hundred jobs from a client that keeps its connection."""
    target.on(path)
    jobs = [server.add({"type": "http", "url": f"{target.url}{path}?n={n}"}) for n in range(200)]
    requests = target.wait(path, 200)
    assert sorted(int(request.query[0][1]) for request in requests) == list(range(200))
    until(lambda: server.job(jobs[-1])["state"] == "completed")
    assert len(target.of(path)) == 200


def test_json_of_an_answer_is_the_documents_example_byte_for_byte(server: Server) -> None:
    answer = server.call("GET", "/jobs/get/123456789")
    assert answer.body == json.dumps({"status": 404, "data": "Job not found"}, separators=(",", ":")).encode()
