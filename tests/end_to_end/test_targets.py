"""Where http jobs of the running server may go."""

import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.fixtures import Starter
from tests.support.server import FORM, PROGRAM, Server
from tests.support.target import Reply, Target
from tests.support.waiting import until

ADMIN = "the-admin-token-of-the-settings"


def http(url: str) -> dict[str, Any]:
    return {"type": "http", "url": url}


def refusal(server: Server, job: dict[str, Any]) -> list[dict[str, str]]:
    """What the first API says of a job that it refuses."""
    answer = server.call("POST", "/jobs/add", job, FORM)
    assert answer.status == 403, answer
    return answer.json["errors"]


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "metadata.google.internal", "0.0.0.0", "[::]"],
)
def test_what_is_never_allowed_is_refused_at_the_door(server: Server, host: str) -> None:
    url = f"http://{host}/latest/meta-data/"
    for member in ("command", "callback_done", "callback_failed"):
        job = {"command": http("http://127.0.0.1:9/"), "delay": 3600} | {member: http(url)}
        (error,) = refusal(server, job)
        assert error["path"] == f"/{member}/url"
        assert error["message"].endswith("is not allowed (setting http_targets)")
        problem = server.call("POST", "/v1/jobs", job)
        assert problem.status == 403
        batch = server.call("POST", "/v1/jobs/batch", [job])
        assert (batch.status, f"/0/{member}/url" in batch.body.decode()) == (403, True)


def test_change_of_a_job_is_refused_as_well(server: Server) -> None:
    job_id = server.add(http("http://127.0.0.1:9/"), delay=3600)
    answer = server.call("PATCH", f"/v1/jobs/{job_id}", {"command": http("http://169.254.169.254/")})
    assert answer.status == 403, answer
    assert server.job(job_id)["command"]["url"] == "http://127.0.0.1:9/"


def test_job_may_not_ask_the_server_itself(server: Server, target: Target, path: str) -> None:
    (error,) = refusal(server, {"command": http(f"{server.url}/v1/jobs")})
    assert error["message"] == "target 127.0.0.1 is this server itself, where no job may go"
    job = server.run(http(f"http://localhost:{server.port}/v1/jobs"))  # a name: known only when it is resolved
    assert job["state"] == "failed"
    assert job["error"].endswith("is this server itself, where no job may go")
    assert server.run(http(target.on(path)))["state"] == "completed"


def test_placeholder_in_the_host_is_judged_when_it_runs(server: Server) -> None:
    job = server.run(http("http://__CONTEXT__/"), context="169.254.169.254")
    assert (job["state"], job["error"]) == (
        "failed",
        "target 169.254.169.254 is not allowed (setting http_targets)",
    )


def test_callback_goes_the_same_way_as_a_job(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--http-deny", "127.0.0.66").start()
    with socket.create_server(("127.0.0.66", target.port)) as trap:
        callback = http(f"http://__CONTEXT__:{target.port}/")  # a host that is known only when it runs
        job_id = server.add(http(target.on(path)), context="127.0.0.66", callback_done=callback)
        assert server.wait_end(job_id)["state"] == "completed"
        (error, *_) = errors_of_callback(server, job_id)
        assert error == "target 127.0.0.66 is not allowed (setting http_deny)"
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):
            trap.accept()


def errors_of_callback(server: Server, job_id: int) -> list[str]:
    """What its attempts ended with, as soon as one has ended."""
    callbacks = until(lambda: server.get(f"/v1/jobs?parent_id={job_id}")["items"], 15, "the callback")

    def errors() -> list[str]:
        tried = server.get(f"/v1/jobs/{callbacks[0]['id']}/attempts")["items"]
        return [attempt["error"] for attempt in tried if attempt["error"]]

    return until(errors, 15, "the end of the callback's first attempt")


def test_redirect_to_metadata_is_not_followed(server: Server, target: Target, path: str) -> None:
    moved = Reply(302, headers=[("Location", "http://169.254.169.254/latest/")])
    job = server.run(http(target.on(path, moved)))
    assert job["state"] == "failed"
    assert "redirects are not followed" in job["error"]


def test_loopback_is_closed_where_others_reach_the_server(make_server: Starter, target: Target, path: str) -> None:
    open_to_all = ("--host", "0.0.0.0", "--auth", "off")
    server = make_server(*open_to_all).start_unread()
    (error,) = refusal(server, {"command": http(target.on(path))})
    assert error["message"] == "target 127.0.0.1 is not allowed (setting http_targets)"
    opened = make_server(*open_to_all, "--http-allow", f"127.0.0.1:{target.port}").start_unread()
    assert opened.run(http(target.url + path))["state"] == "completed"
    (error,) = refusal(opened, {"command": http(f"http://127.0.0.1:{opened.port}/")})
    assert "this server itself" in error["message"]


def test_job_of_laxer_days_explains_why_it_will_fail(make_server: Starter, target: Target) -> None:
    lax = make_server().start()
    later = lax.add(http("http://8.8.8.8:9/"), delay=3600)
    lax.stop()
    strict = make_server("--concurrency", "1", "--http-deny", "8.8.8.8", folder=lax.folder).start()
    strict.add(http(target.on("/silent", Reply(never=True))))
    target.wait("/silent")  # it holds the only slot
    strict.call("POST", f"/v1/jobs/{later}/run")
    told = strict.get(f"/v1/jobs/{later}/explain")
    assert "target 8.8.8.8 is not allowed (setting http_deny), so it will fail as soon as its turn comes" in str(told)


def test_token_has_limits_of_its_own(make_server: Starter, target: Target, path: str) -> None:
    server = make_server(environ={"QUEUE_SERVER_ADMIN_TOKEN": ADMIN}).start()

    def call(method: str, where: str, body: object, token: str = ADMIN) -> Any:
        return server.call(method, where, body, {"Authorization": f"Bearer {token}"})

    wrong = call("POST", "/v1/tokens", {"name": "wrong", "http_allow": ["10.0.0.0/8", "10.0.0.1/8"]})
    assert (wrong.status, "/http_allow/1" in wrong.body.decode()) == (400, True)
    limits = {"http_targets": "allowlist", "http_allow": [f"localhost:{target.port}"]}
    made = call("POST", "/v1/tokens", {"name": "narrow", "scopes": ["add", "read"], **limits})
    assert made.status == 201, made
    token = made.json["token"]
    refused = call("POST", "/v1/jobs", {"command": http(target.on(path))}, token)
    assert refused.status == 403
    assert "http_targets of the token that added the job" in refused.body.decode()
    url = f"http://localhost:{target.port}{path}"
    allowed = call("POST", "/v1/jobs", {"command": http(url)}, token)
    assert allowed.status == 201, allowed
    seen = call("GET", f"/v1/jobs/{allowed.json['id']}?wait=15", None, token).json
    assert seen["state"] == "completed"
    hidden = call(
        "POST", "/v1/jobs", {"command": http(f"http://__CONTEXT__:{target.port}{path}"), "context": "127.0.0.1"}, token
    )
    assert hidden.status == 201, hidden
    seen = call("GET", f"/v1/jobs/{hidden.json['id']}?wait=15", None, token).json
    assert (seen["state"], "of the token that added the job" in seen["error"]) == ("failed", True)
    assert len(target.of(path)) == 1
    by_admin = call("POST", "/v1/jobs", {"command": http(target.url + path)})
    assert by_admin.status == 201


def test_item_that_is_none_stops_the_start_before_anything_is_touched(tmp_path: Path) -> None:
    db = tmp_path / "q.db"
    command = (*PROGRAM, "serve", "--port", "0", "--db", f"sqlite:///{db}", "--http-deny", "10.0.0.1/8")
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, timeout=30, check=False)
    (line,) = done.stderr.decode().splitlines()
    assert "http_deny: '10.0.0.1/8' is not the start of its network; write it as 10.0.0.0/8" in line
    assert done.returncode == 2
    assert not db.exists()
