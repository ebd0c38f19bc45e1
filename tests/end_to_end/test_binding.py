"""What tokens see of jobs and their outputs over HTTP, and that a binding holds after a restart."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.event_stream import EventStream
from tests.support.fixtures import Starter
from tests.support.raw import Answer
from tests.support.server import Server, running
from tests.support.target import Reply, Target

ADMIN = "admin-token-of-the-test-0123456789"
WITH_TOKENS = {"QUEUE_SERVER_ADMIN_TOKEN": ADMIN}


def bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask(server: Server, token: str, method: str, path: str, body: object = None) -> Answer:
    return server.call(method, path, body, bearer(token))


def seen(server: Server, token: str, path: str) -> Any:
    """The JSON of a 200."""
    answer = ask(server, token, "GET", path)
    assert answer.status == 200, answer
    return answer.json


_made = iter(range(1_000_000))


def make_token(server: Server, **members: object) -> str:
    made = ask(server, ADMIN, "POST", "/v1/tokens", {"name": f"t{next(_made)}", **members})
    assert made.status == 201, made
    return made.json["token"]


def add(server: Server, url: str, **members: object) -> int:
    added = ask(server, ADMIN, "POST", "/v1/jobs", {"command": {"type": "http", "url": url}, **members})
    assert added.status == 201, added
    return added.json["id"]


def ended(server: Server, job_id: int) -> Any:
    job = seen(server, ADMIN, f"/v1/jobs/{job_id}?wait=30")
    assert job["state"] in ("completed", "failed"), job
    return job


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for tokens."""
    flags = ("--exec", "any", "--shutdown-grace", "0")
    with running(tmp_path_factory.mktemp("guarded"), *flags, environ=WITH_TOKENS) as server:
        yield server


@contextmanager
def stream(server: Server, token: str, path: str, last_id: str = "") -> Iterator[EventStream]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {**bearer(token), **({"Last-Event-ID": last_id} if last_id else {})}
    connection.request("GET", path, headers=headers)
    opened = EventStream(connection, connection.getresponse())
    try:
        assert opened.response.status == 200
        yield opened
    finally:
        opened.close()


def test_outputs_are_for_those_who_may_read_them(guarded: Server, target: Target, path: str) -> None:
    url = target.on(path, Reply(status=500, body=b"the output"))
    job = add(guarded, url)
    assert ended(guarded, job)["exit_code"] == 500
    reader, output_reader = make_token(guarded, scopes=["read"]), make_token(guarded, scopes=["read:output"])
    for query in ("", "?follow=1", "?stream=head"):
        refused = ask(guarded, reader, "GET", f"/v1/jobs/{job}/output{query}")
        assert (refused.status, "read:output" in refused.json["detail"]) == (403, True)
    assert ask(guarded, output_reader, "GET", f"/v1/jobs/{job}/output").body == b"the output"
    without, whole = (seen(guarded, token, f"/jobs/get/{job}")["data"] for token in (reader, output_reader))
    assert (whole["output"], whole["error_output"]) == ("the output", "")
    assert without == whole | {"output": None, "error_output": None}
    assert (without["exit_code"], "500" in without["error"]) == (500, True)


@pytest.mark.parametrize("what", ["complete", "fail"])
def test_who_may_not_read_sees_no_job_by_reporting_again_what_it_did(
    guarded: Server, target: Target, path: str, what: str
) -> None:
    job = add(guarded, target.on(path, Reply(200 if what == "complete" else 500)), tags={"customer": "acme"})
    claim = ended(guarded, job)["claim"]
    report = f"/v1/jobs/{job}/attempts/{claim}/{what}"
    told = ask(guarded, make_token(guarded, scopes=["add"]), "POST", report)
    assert (told.status, set(told.json)) == (200, {"id", "state", "attempt", "claim", "created_at"})
    assert ask(guarded, make_token(guarded, scopes=["add", "read"]), "POST", report).json["tags"] == {
        "customer": "acme"
    }


def test_what_a_callback_reports_is_an_output_too(guarded: Server, target: Target, path: str) -> None:
    url = target.on(path, Reply(body=b"the output"))
    job = add(guarded, url, callback_done={"type": "http", "url": target.on(f"{path}-done")})
    ended(guarded, job)
    (callback,) = seen(guarded, ADMIN, f"/v1/jobs?parent_id={job}")["items"]
    reader = make_token(guarded, scopes=["read"])
    assert seen(guarded, ADMIN, f"/jobs/get/{callback['id']}")["data"]["report"]["output"] == "the output"
    report = seen(guarded, reader, f"/jobs/get/{callback['id']}")["data"]["report"]
    assert (report["job_id"], report.get("output", "")) == (job, "")


def test_events_are_those_of_own_jobs_also_when_a_stream_is_taken_up_again(
    guarded: Server, target: Target, path: str
) -> None:
    url, context = target.on(path), path[1:]
    token = make_token(guarded, scopes=["read"], contexts=[context, "another"])
    with stream(guarded, token, "/v1/events") as first:
        add(guarded, url, context="foreign", delay=1000)
        mine = add(guarded, url, context=context)
        events = first.events(3)
    assert [one.data["job_id"] for one in events] == [mine] * 3
    for name in ("foreign", context):
        ended(guarded, add(guarded, url, context=name))
    with stream(guarded, token, "/v1/events", last_id=events[-1].id) as second:
        missed = second.events(3)
    assert {one.data["context"] for one in missed} == {context}
    assert [one.name for one in missed] == ["job.added", "job.started", "job.completed"]
    hidden = add(guarded, url, context="foreign", delay=1000)
    assert ask(guarded, token, "GET", f"/v1/jobs/{hidden}/events").status == 404


def test_numbers_are_those_of_own_jobs(guarded: Server, target: Target, path: str) -> None:
    url, context = target.on(path), path[1:]
    for name in (context, context, "foreign"):
        add(guarded, url, context=name, delay=1000)
    ended(guarded, add(guarded, url, context=context))
    token = make_token(guarded, scopes=["read"], contexts=[context])
    stats = seen(guarded, token, "/v1/stats")
    assert (stats["jobs"]["scheduled"], stats["jobs"]["completed"], sum(stats["jobs"].values())) == (2, 1, 3)
    assert stats["slots"]["free"] == stats["slots"]["total"]
    first = seen(guarded, token, "/jobs/status")["data"]
    assert (first["waiting"], first["working"], first["free_threads"]) == (2, 0, first["max_threads"])


def test_job_shows_the_token_that_its_commands_come_from(guarded: Server, path: str) -> None:
    token = make_token(guarded, scopes=["add", "read", "manage"])
    job = {"command": {"type": "http", "url": "http://example.com/"}, "delay": 1000}
    own = ask(guarded, token, "POST", "/v1/jobs", job).json
    (record,) = [one for one in seen(guarded, ADMIN, "/v1/tokens")["items"] if one["id"] == own["token_id"]]
    assert record["scopes"] == ["add", "read", "manage"]
    assert "token_id" not in seen(guarded, ADMIN, f"/jobs/get/{own['id']}")["data"]
    assert "token_id" not in ask(guarded, ADMIN, "POST", "/v1/jobs", job).json


def test_binding_of_an_operation_holds_after_a_restart(make_server: Starter) -> None:
    """Killed in its midst, it goes on with the jobs of its token, and with nothing that the token may not do."""
    server = make_server("--exec", "any", environ=WITH_TOKENS).start()
    command = {"type": "exec", "cmd": "true"}
    jobs = [{"command": command, "delay": 1000, "context": name} for name in ("shop", "mail") for _ in range(1500)]
    added = ask(server, ADMIN, "POST", "/v1/jobs/batch", jobs)
    assert added.status == 201
    token = make_token(server, scopes=["manage"], contexts=["shop"])
    started = ask(server, token, "POST", "/v1/jobs:cancel", {"filter": {"type": "exec"}})
    assert (started.status, started.json["matched"]) == (202, 1500)
    server.kill()
    server.start()
    operation = seen(server, token, f"/v1/operations/{started.json['operation']['id']}?wait=30")
    assert (operation["state"], operation["done"], operation["filter"]) == (
        "completed",
        1500,
        {"type": "exec", "context": "shop"},
    )
    stats = seen(server, ADMIN, "/v1/stats")["jobs"]
    assert (stats["cancelled"], stats["scheduled"]) == (1500, 1500)
    patch = {"filter": {}, "changes": {"command": {"timeout": 5}, "delay": 1000}}
    retried = ask(server, token, "POST", "/v1/jobs:retry", patch).json["operation"]["id"]
    operation = seen(server, token, f"/v1/operations/{retried}?wait=30")
    assert (operation["done"], operation["skipped"]) == (0, 1500)
    stranger = make_token(server, scopes=["manage"], contexts=["mail"])
    assert seen(server, stranger, "/v1/operations") == {"items": [], "next_cursor": None}
    assert ask(server, stranger, "POST", f"/v1/operations/{retried}/cancel").status == 404


def test_who_may_not_read_outputs_has_no_callback_report_one(guarded: Server, target: Target, path: str) -> None:
    waiting = add(guarded, target.on(path), delay=1000)
    callback = {"type": "http", "url": target.on(f"{path}-done"), "method": "POST"}
    for scopes, status in ((["manage"], 403), (["manage", "read:output"], 200)):
        token = make_token(guarded, scopes=scopes)
        changed = ask(guarded, token, "PATCH", f"/v1/jobs/{waiting}", {"callback_done": callback})
        assert changed.status == status, changed
        assert status == 200 or "read:output" in changed.json["detail"]


def test_who_may_not_read_outputs_sends_no_callback_elsewhere(guarded: Server, target: Target, path: str) -> None:
    done = {"type": "http", "url": target.on(f"{path}-done"), "method": "POST"}
    job = ended(guarded, add(guarded, target.on(path, Reply(body=b"the output")), callback_done=done))["id"]
    (callback,) = seen(guarded, ADMIN, f"/v1/jobs?parent_id={job}")["items"]
    ended(guarded, callback["id"])
    elsewhere = {"command": {"url": target.on(f"{path}-elsewhere")}}
    for scopes, status in ((["manage"], 403), (["manage", "read:output"], 200)):
        token = make_token(guarded, scopes=scopes)
        again = ask(guarded, token, "POST", f"/v1/jobs/{callback['id']}/retry", elsewhere)
        assert again.status == status, again
        assert status == 200 or again.json["errors"][0]["pointer"] == "/command"
    assert ask(guarded, make_token(guarded, scopes=["manage"]), "POST", f"/v1/jobs/{job}/retry").status == 200
