"""When jobs run, in which order, how often; and how they are seen under /v1."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import Answer
from tests.support.server import Server, running
from tests.support.target import Reply, Target
from tests.support.waiting import until


def test_job_with_a_delay_runs_when_it_is_due(server: Server, target: Target, path: str) -> None:
    url = target.on(path)
    job = server.add({"type": "http", "url": url}, delay=1.0)
    assert server.job(job)["state"] == "scheduled"
    now = server.add({"type": "http", "url": target.on(path + "/now")})
    server.wait_end(now), server.wait_end(job)
    gap = target.of(path)[0].at - target.of(path + "/now")[0].at
    print(f"a delay of 1 s was {gap:.3f} s")
    assert 0.8 < gap < 4


def test_jobs_run_in_the_order_in_which_they_become_due(server: Server, target: Target, path: str) -> None:
    url, now = target.on(path), datetime.now(UTC)  # noqa: TID251 (run_at is the machine's time)
    for number, after in enumerate((1.2, 0.4, 0.8)):
        at = (now + timedelta(seconds=after)).isoformat()
        server.add({"type": "http", "url": f"{url}?{number}"}, run_at=at)
    assert [request.target[-1] for request in target.wait(path, 3)] == ["1", "2", "0"]


def test_run_at_in_the_past_runs_at_once(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path)}, run_at="2001-01-01T00:00:00+05:30")
    assert server.wait_end(job)["state"] == "completed"


@pytest.fixture
def one_slot(make_server: Starter) -> Server:
    return make_server("--concurrency", "1", "--exec", "any", "--max-waiting", "50", "--default-priority", "300",
                       "--default-context", "house").start()  # fmt: skip


def test_one_slot_runs_waiting_jobs_by_priority_then_age(one_slot: Server, target: Target, path: str) -> None:
    release = threading.Event()
    first = one_slot.add({"type": "http", "url": target.on(path + "/first", Reply(hold=release))})
    target.wait(path + "/first")
    url = target.on(path)
    for priority in (500, 0, 1000, None, 1000, 500):
        members = {} if priority is None else {"priority": priority}
        one_slot.add({"type": "http", "url": f"{url}?{priority}"}, **members)
    one_slot.add({"type": "exec", "cmd": f"true {path}"}, priority=700)
    release.set()
    one_slot.wait_end(first)
    targets = [request.target.partition("?")[2] for request in target.wait(path, 6)]
    assert targets == ["1000", "1000", "500", "500", "None", "0"]


def test_defaults_of_the_settings_apply_and_full_queue_is_503(one_slot: Server, target: Target, path: str) -> None:
    job = one_slot.job(one_slot.add({"type": "http", "url": target.on(path)}, delay=3600))
    assert (job["priority"], job["context"]) == (300, "house")
    for _ in range(49):
        one_slot.add({"type": "http", "url": target.url}, delay=3600)
    for where in ("/jobs/add", "/v1/jobs"):
        answer = one_slot.call("POST", where, {"command": {"type": "http", "url": target.url}})
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        sentence = answer.json["data" if where == "/jobs/add" else "detail"]
        assert sentence == "the queue is full: 50 jobs wait (setting max_waiting)"
    assert one_slot.get("/jobs/status")["data"]["waiting"] == 50


def test_failed_job_is_tried_again_and_each_attempt_is_recorded(server: Server, target: Target, path: str) -> None:
    target.on(path, Reply(500, b"one"), Reply(404, b"two"), Reply(200, b"three"))
    retry = {"max_attempts": 5, "min_delay": 0.05, "backoff": "fixed"}
    job = server.run({"type": "http", "url": target.url + path}, retry=retry)
    assert (job["state"], job["attempt"], job["max_attempts"]) == ("completed", 3, 5)
    items = server.get(f"/v1/jobs/{job['id']}/attempts")["items"]
    assert [(item["number"], item["claim"], item["outcome"], item["exit_code"]) for item in items] == [
        (1, 1, "failed", 500),
        (2, 2, "failed", 404),
        (3, 3, "succeeded", 200),
    ]
    assert set(items[0]) == {
        "number", "claim", "node_id", "started_at", "ended_at", "duration", "outcome", "exit_code", "signal", "error",
        "queued", "connect", "first_byte", "output_size",
    }  # fmt: skip
    assert all(item["started_at"] <= item["ended_at"] and item["duration"] >= 0 for item in items)
    assert [server.output(job["id"], f"?attempt={number}") for number in (1, 2, 3)] == [b"one", b"two", b"three"]
    assert server.output(job["id"]) == b"three"
    assert [r.header("X-Queue-Attempt") for r in target.of(path)] == ["1", "2", "3"]


def test_output_of_an_attempt_that_is_not_there_is_not_found(server: Server, target: Target, path: str) -> None:
    job = server.run({"type": "http", "url": target.on(path)})
    answer = server.call("GET", f"/v1/jobs/{job['id']}/output?attempt=7")
    assert (answer.status, answer.json["detail"]) == (404, f"Job {job['id']} has no ended attempt 7")


def test_last_attempt_ends_the_job_as_failed_with_the_reason(server: Server, target: Target, path: str) -> None:
    url = target.on(path, Reply(500))
    job = server.run({"type": "http", "url": url}, retry={"max_attempts": 2, "min_delay": 0})
    assert (job["state"], job["exit_code"]) == ("failed", 500)
    assert job["reason"] == "attempt 2 of 2, the last, failed: HTTP 500 Internal Server Error"


def test_job_has_one_attempt_by_default(server: Server, target: Target, path: str) -> None:
    job = server.run({"type": "http", "url": target.on(path, Reply(500))})
    assert (job["state"], job["attempt"], job["max_attempts"]) == ("failed", 1, 1)


@pytest.mark.parametrize("where", ["/jobs/add", "/v1/jobs"])
@pytest.mark.parametrize("member", ["command", "callback_done", "callback_failed"])
def test_exec_off_refuses_commands_and_names_the_setting(
    exec_off: Server, target: Target, where: str, member: str
) -> None:
    body = {"command": {"type": "http", "url": target.url}, member: {"type": "exec", "cmd": "true"}}
    answer = exec_off.call("POST", where, body)
    assert answer.status == 403
    assert "setting exec" in answer.json["data" if where == "/jobs/add" else "detail"]
    (error,) = answer.json["errors"]
    assert error["path" if where == "/jobs/add" else "pointer"] == f"/{member}"


@pytest.fixture(scope="module")
def exec_off(tmp_path_factory: pytest.TempPathFactory) -> object:
    with running(tmp_path_factory.mktemp("off"), "--shutdown-grace", "0") as server:
        yield server


def test_created_job_is_201_with_its_location(server: Server, target: Target, path: str) -> None:
    answer = server.call("POST", "/v1/jobs", {"command": {"type": "http", "url": target.on(path)}, "delay": 3600})
    assert (answer.status, answer.type) == (201, "application/json")
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    assert answer.json == server.get(answer.headers["Location"])
    assert (answer.json["state"], answer.json["type"], answer.json["attempt"]) == ("scheduled", "http", 0)
    assert datetime.fromisoformat(answer.json["run_at"]) - datetime.fromisoformat(
        answer.json["created_at"]
    ) == timedelta(hours=1)


def test_list_pages_by_cursor_newest_first_without_gaps(server: Server, target: Target, path: str) -> None:
    context = f"pages{path}"
    jobs = [server.add({"type": "http", "url": target.url}, context=context, delay=3600) for _ in range(25)]
    found: list[int] = []
    url = f"/v1/jobs?context={context}&limit=10"
    pages = 0
    while url:
        answer = server.call("GET", url)
        found += [item["id"] for item in answer.json["items"]]
        url = _next_link(answer)
        assert bool(url) == (answer.json["next_cursor"] is not None)
        pages += 1
    assert found == sorted(jobs, reverse=True)
    assert pages == 3


def _next_link(answer: Answer) -> str:
    link = answer.headers.get("Link", "")
    assert link == "" or link.endswith('>; rel="next"')
    return link.partition(">")[0].removeprefix("<")


def test_list_filters_by_state_and_context(server: Server, target: Target, path: str) -> None:
    context = f"filter{path}"
    done = server.run({"type": "http", "url": target.on(path)}, context=context)["id"]
    late = server.add({"type": "http", "url": target.url}, context=context, delay=3600)

    def ids(query: str) -> list[int]:
        return [item["id"] for item in server.get(f"/v1/jobs?context={context}{query}")["items"]]

    assert ids("") == [late, done]
    assert ids("&state=completed") == [done]
    assert ids("&state=scheduled") == [late]
    assert ids("&state=running") == []


def test_problem_of_v1_is_rfc_9457_with_pointers(server: Server) -> None:
    answer = server.call("POST", "/v1/jobs", {"command": {"type": "http", "url": "x"}, "priority": -1})
    assert (answer.status, answer.type) == (400, "application/problem+json")
    assert list(answer.json) == ["type", "title", "status", "detail", "errors"]
    assert {error["pointer"] for error in answer.json["errors"]} == {"/command/url", "/priority"}
    missing = server.call("GET", "/v1/jobs/999999999")
    assert (missing.status, missing.type) == (404, "application/problem+json")
    assert missing.json == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no job 999999999",
    }


def test_output_endpoint_has_each_stream_of_a_command(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": "printf 'o\\0\\377'; printf e >&2"})["id"]
    assert server.output(job) == b"o\0\xff"
    assert server.output(job, "?stream=stderr") == b"e"
    answer = server.call("GET", f"/v1/jobs/{job}/output")
    assert answer.type == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_output_of_a_job_without_one_is_empty_and_of_no_job_is_404(server: Server, target: Target) -> None:
    job = server.add({"type": "http", "url": target.url}, delay=3600)
    assert server.output(job) == b""
    assert server.call("GET", "/v1/jobs/999999999/output").status == 404


def test_stats_count_jobs_by_state(server: Server, target: Target, path: str) -> None:
    before = server.get("/v1/stats")
    server.run({"type": "http", "url": target.on(path, Reply(500))})
    after = until(lambda: server.get("/v1/stats"))
    assert after["jobs"]["failed"] == before["jobs"]["failed"] + 1
    assert set(after["jobs"]) == {"scheduled", "available", "running", "completed", "failed", "cancelled"}
    assert after["slots"]["total"] == 100


def test_commands_have_their_own_limit_and_do_not_block_requests(
    make_server: Starter, target: Target, path: str
) -> None:
    server = make_server("--exec", "any", "--exec-concurrency", "1", "--concurrency", "10").start()
    commands = [server.add({"type": "exec", "cmd": "sleep 30"}, priority=1000) for _ in range(5)]
    server.wait_state(commands[0], "running")
    assert server.run({"type": "http", "url": target.on(path)}, priority=0)["state"] == "completed"
    assert server.get("/jobs/status")["data"]["working"] == 1
