"""Keeping secrets over the API, and what becomes of jobs that have them."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import Answer
from tests.support.server import Server, running
from tests.support.target import Target

TEXT = "swordfish"
URL = "http://127.0.0.1:9/"


def put(server: Server, name: str, value: Any = TEXT, **members: Any) -> Answer:
    return server.call("PUT", f"/v1/secrets/{name}", {"value": value, **members})


def kept(server: Server) -> dict[str, str]:
    return {secret["name"]: secret["kind"] for secret in server.get("/v1/secrets")["items"]}


def pointers(answer: Answer) -> list[str]:
    assert answer.status == 400, answer
    return [error["pointer"] for error in answer.json["errors"]]


def command(target: Target, path: str, secret: Any) -> dict[str, Any]:
    return {"type": "http", "url": target.on(path), "headers": {"X-Key": secret}}


def test_secret_is_kept_listed_replaced_and_deleted(server: Server) -> None:
    first, second = put(server, "one"), put(server, "one", "other")
    assert (first.status, second.status) == (201, 200)
    assert set(first.json) == {"name", "kind", "created_at", "until"}
    assert kept(server)["one"] == "value"
    listed = server.call("GET", "/v1/secrets")
    assert TEXT.encode() not in listed.body + first.body
    assert server.call("DELETE", "/v1/secrets/one").status == 204
    assert server.call("DELETE", "/v1/secrets/one").status == 404
    assert "one" not in kept(server)


def test_job_gets_the_secret_that_is_kept_when_it_runs(server: Server, target: Target, path: str) -> None:
    put(server, "api", "old")
    job_id = server.add(command(target, path, {"secret_ref": "api", "prefix": "Bearer "}), delay=3600)
    put(server, "api", "new")
    server.call("POST", f"/v1/jobs/{job_id}/run")
    assert server.wait_end(job_id)["state"] == "completed"
    assert target.of(path)[0].header("X-Key") == "Bearer new"
    assert server.job(job_id)["command"]["headers"] == {"X-Key": {"secret_ref": "api", "prefix": "Bearer "}}


def test_job_whose_kept_secret_has_been_deleted_fails_and_says_why(server: Server, target: Target, path: str) -> None:
    put(server, "gone")
    job_id = server.add(command(target, path, {"secret_ref": "gone"}), delay=3600)
    server.call("DELETE", "/v1/secrets/gone")
    server.call("POST", f"/v1/jobs/{job_id}/run")
    job = server.wait_end(job_id)
    assert (job["state"], job["error"]) == ("failed", "there is no secret 'gone'; it has been deleted")
    assert target.of(path) == []


@pytest.mark.parametrize(
    ("part", "secret"), [("headers", "a\r\nX-Evil: 1"), ("headers", "a\0"), ("env", "a\0b"), ("env", "a" * 140_000)]
)
def test_kept_secret_that_does_not_fit_fails_the_attempt(server: Server, part: str, secret: str) -> None:
    name = f"misfit{len(secret)}"
    if len(secret) > 65_536:
        assert pointers(put(server, name, secret)) == ["/value"]
        return
    put(server, name, secret)
    base = {"type": "http", "url": URL} if part == "headers" else {"type": "exec", "cmd": "true"}
    job = server.run({**base, part: {"A": {"secret_ref": name}}})
    assert job["state"] == "failed"
    assert job["error"].startswith(f"the secret in /{part}/A ")
    assert secret not in job["error"]


def test_name_that_nobody_has_is_refused_when_the_job_is_added(server: Server) -> None:
    bad = {"command": {"type": "http", "url": URL, "headers": {"A": {"secret_ref": "never-kept"}}}}
    answer = server.call("POST", "/v1/jobs", bad)
    assert pointers(answer) == ["/command/headers/A"]
    assert "there is no secret 'never-kept'" in answer.json["detail"]
    batch = server.call("POST", "/v1/jobs/batch", [{"command": {"type": "http", "url": URL}}, bad])
    assert pointers(batch) == ["/1/command/headers/A"]


WRONG = {
    "empty": ("a", {"value": ""}, ["/value"]),
    "long": ("a", {"value": "x" * 65_537}, ["/value"]),
    "number": ("a", {"value": 5}, ["/value"]),
    "missing": ("a", {}, ["/value"]),
    "unknown": ("a", {"value": "x", "text": "y"}, ["/text"]),
    "kind": ("a", {"value": "x", "kind": "other"}, ["/kind"]),
    "name": ("a%20b", {"value": "x"}, ["/name"]),
    "long name": ("a" * 65, {"value": "x"}, ["/name"]),
    "signing": ("a", {"value": "whsec_AAAA", "kind": "signing"}, ["/value"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_secret_that_is_wrong_is_refused(server: Server, case: str) -> None:
    name, body, expected = WRONG[case]
    assert pointers(server.call("PUT", f"/v1/secrets/{name}", body)) == expected


def test_names_belong_to_one_kind(server: Server) -> None:
    put(server, "value")
    made = server.call("POST", "/v1/secrets", {"name": "signs"})
    assert made.status == 201
    assert made.json["secret"].startswith("whsec_")
    assert made.headers["Cache-Control"] == "no-store"
    assert server.call("POST", "/v1/secrets", {"name": "value"}).status == 409
    assert server.call("POST", "/v1/secrets", {"name": "signs"}).status == 409
    assert put(server, "signs").status == 409
    assert server.call("POST", "/v1/secrets/value/rotate").status == 404
    rotated = server.call("POST", "/v1/secrets/signs/rotate", {"overlap": 60})
    assert rotated.json["secret"] != made.json["secret"]
    assert [one["until"] is None for one in server.get("/v1/secrets")["items"] if one["name"] == "signs"] == [
        False,
        True,
    ]
    assert pointers(server.call("POST", "/v1/secrets/signs/rotate", {"overlap": -1})) == ["/overlap"]


def test_request_with_a_key_is_the_same_whatever_its_secrets(server: Server, target: Target, path: str) -> None:
    def add(secret: str, key: str = "a-key") -> Answer:
        body = {"command": command(target, path, {"secret": secret})}
        return server.call("POST", "/v1/jobs", body, {"Idempotency-Key": key})

    first, second = add("one"), add("two")
    assert (first.status, second.status) == (201, 200)
    assert first.json["id"] == second.json["id"]


# Keys.


def restarted(tmp_path: Path, key: str, act: Any) -> Any:
    environ = {"QUEUE_SERVER_SECRET_KEY": key} if key else {}
    with running(tmp_path, environ=environ) as server:
        return act(server)


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def test_key_file_is_made_when_it_is_needed(tmp_path: Path, target: Target, path: str) -> None:
    with running(tmp_path) as server:
        server.run({"type": "http", "url": target.on(path)})
        assert not (tmp_path / "q.db.key").exists()
        server.run(command(target, path, {"secret": TEXT}))
        assert (tmp_path / "q.db.key").stat().st_mode & 0o777 == 0o600


def test_lost_key_fails_the_attempt_and_nothing_else(tmp_path: Path, target: Target, path: str) -> None:
    def prepare(server: Server) -> int:
        put(server, "api")
        server.call("POST", "/v1/secrets")
        return server.add(command(target, path, {"secret": TEXT}), delay=3600)

    job_id = restarted(tmp_path, "", prepare)
    (tmp_path / "q.db.key").unlink()

    def run(server: Server) -> None:
        server.call("POST", f"/v1/jobs/{job_id}/run")
        job = server.wait_end(job_id)
        assert job["state"] == "failed"
        assert "with which this secret was sealed, is not there" in job["error"]
        assert server.call("POST", "/v1/secrets:rekey").status == 503
        assert "the signing secret 'default' can't be used: the key" in server.log
        kept_job = server.run(command(target, path, {"secret_ref": "api"}))
        assert "is not there" in kept_job["error"]
        assert server.run(command(target, path, {"secret": TEXT}))["state"] == "completed"

    restarted(tmp_path, "", run)


def test_new_key_seals_anew_and_the_old_one_can_go(tmp_path: Path, target: Target, path: str) -> None:
    old, new = new_key(), new_key()

    def prepare(server: Server) -> int:
        put(server, "api")
        return server.add(command(target, path, {"secret": TEXT}), delay=3600)

    job_id = restarted(tmp_path, old, prepare)

    def rekey(server: Server) -> None:
        answer = server.call("POST", "/v1/secrets:rekey")
        assert answer.json["resealed"] == 1
        server.call("POST", f"/v1/jobs/{job_id}/run")
        assert server.wait_end(job_id)["state"] == "completed"

    restarted(tmp_path, f"{new},{old}", rekey)

    def use(server: Server) -> None:
        assert server.run(command(target, path, {"secret_ref": "api"}))["state"] == "completed"

    restarted(tmp_path, new, use)
    assert [request.header("X-Key") for request in target.of(path)] == [TEXT, TEXT]


def test_wrong_key_stops_the_start_with_a_line_that_names_the_setting(make_server) -> None:
    server = make_server(environ={"QUEUE_SERVER_SECRET_KEY": f"{new_key()} {TEXT}"})
    server.launch()
    assert server.ended() == 2
    assert "secret_key: key 2 of 2 is not 32 bytes as base64 or hex" in server.log
    assert TEXT not in server.log


def test_secrets_take_an_administrator(make_server) -> None:
    server = make_server(environ={"QUEUE_SERVER_ADMIN_TOKEN": "a" * 32}).start()
    admin = {"Authorization": f"Bearer {'a' * 32}"}
    made = server.call("POST", "/v1/tokens", {"name": "ci", "scopes": ["manage", "add:exec", "read:output"]}, admin)
    other = {"Authorization": f"Bearer {made.json['token']}"}
    for method, path, body in (
        ("GET", "/v1/secrets", None),
        ("POST", "/v1/secrets", {}),
        ("PUT", "/v1/secrets/a", {"value": "x"}),
        ("DELETE", "/v1/secrets/a", None),
        ("POST", "/v1/secrets/a/rotate", {}),
        ("POST", "/v1/secrets:rekey", None),
    ):
        assert server.call(method, path, body, other).status == 403
        assert server.call(method, path, body).status == 401
        assert server.call(method, path, body, admin).status in (200, 201, 204, 404)
