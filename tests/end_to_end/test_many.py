"""Actions on all jobs of a filter, as operations."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fixtures import Starter
from tests.support.server import Server
from tests.support.waiting import until

LATER = 1000
COMMAND = {"type": "http", "url": "http://127.0.0.1:1/"}


def ask(server: Server, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    answer = server.call(method, path, body)
    return answer.status, json.loads(answer.body)


def add_many(server: Server, count: int, **members: Any) -> list[int]:
    """Jobs that wait."""
    jobs = [{"command": COMMAND, "delay": LATER, **members}] * count
    status, added = ask(server, "POST", "/v1/jobs/batch", jobs)
    assert status == 201
    return added["ids"]


def carried_out(server: Server, action: str, **body: Any) -> Any:
    """The operation, once it is over."""
    status, started = ask(server, "POST", f"/v1/jobs:{action}", body)
    assert status == 202
    operation = started["operation"]["id"]
    return server.get(f"/v1/operations/{operation}?wait=30")


def test_dry_run_counts_and_changes_nothing(server: Server, path: str) -> None:
    add_many(server, 3, context=path)
    body = {"filter": {"context": path}, "dry_run": True}
    assert ask(server, "POST", "/v1/jobs:cancel", body) == (200, {"matched": 3, "dry_run": True})
    assert len(server.get(f"/v1/jobs?context={path}&state=scheduled")["items"]) == 3


def test_jobs_are_cancelled_tried_again_and_deleted(server: Server, path: str) -> None:
    add_many(server, 450, context=path)
    cancelled = carried_out(server, "cancel", filter={"context": path}, reason="not needed")
    assert (cancelled["state"], cancelled["matched"], cancelled["done"], cancelled["skipped"]) == (
        "completed",
        450,
        450,
        0,
    )
    assert cancelled["filter"] == {"context": path}
    (one,) = server.get(f"/v1/jobs?context={path}&limit=1")["items"]
    assert (one["state"], one["reason"]) == ("cancelled", "not needed")
    wanted = {"context": path, "state": "cancelled"}
    retried = carried_out(server, "retry", filter=wanted, changes={"delay": LATER, "priority": 3})
    assert retried["done"] == 450
    assert server.get(f"/v1/jobs?context={path}&limit=1")["items"][0]["priority"] == 3
    kept = carried_out(server, "delete", filter={"context": path})
    assert (kept["done"], kept["skipped"]) == (0, 450)
    carried_out(server, "cancel", filter={"context": path})
    assert carried_out(server, "delete", filter={"context": path})["done"] == 450
    assert server.get(f"/v1/jobs?context={path}")["items"] == []


def test_only_the_jobs_that_are_named_are_meant(server: Server, path: str) -> None:
    ids = add_many(server, 5, context=path, tags={"customer": "acme"})
    done = carried_out(server, "cancel", filter={"ids": [ids[0], ids[3], 10**9], "tag.customer": "acme"})
    assert (done["matched"], done["done"]) == (2, 2)
    assert len(server.get(f"/v1/jobs?context={path}&state=scheduled")["items"]) == 3


def test_operation_goes_on_after_a_kill(make_server: Starter, tmp_path: Path) -> None:
    server = make_server(folder=tmp_path).start()
    for _ in range(2):
        add_many(server, 5000)
    status, started = ask(server, "POST", "/v1/jobs:cancel", {"filter": {}})
    assert (status, started["matched"]) == (202, 10_000)
    operation = f"/v1/operations/{started['operation']['id']}"
    until(lambda: server.get(operation)["done"])
    server.kill()
    again = make_server(folder=tmp_path).start()
    ended = until(lambda: (found := again.get(f"{operation}?wait=30"))["state"] == "completed" and found)
    assert (ended["done"], ended["skipped"]) == (10_000, 0)
    assert again.get("/v1/stats")["jobs"]["cancelled"] == 10_000


def test_operation_is_ended_early(make_server: Starter) -> None:
    server = make_server().start()
    for _ in range(4):
        add_many(server, 5000)
    _, started = ask(server, "POST", "/v1/jobs:cancel", {"filter": {}})
    operation = f"/v1/operations/{started['operation']['id']}"
    status, stopped = ask(server, "POST", f"{operation}/cancel")
    assert (status, stopped["state"]) == (200, "cancelled")
    done = server.get(operation)["done"]
    assert done < 20_000
    assert server.get("/v1/stats")["jobs"]["cancelled"] == done
    assert [one["id"] for one in server.get("/v1/operations")["items"]] == [started["operation"]["id"]]


@pytest.mark.parametrize(
    ("action", "body", "pointers"),
    [
        ("cancel", {}, {"/filter"}),
        ("cancel", {"filter": {"state": "x", "nonsense": 1}}, {"/filter/state", "/filter/nonsense"}),
        ("cancel", {"filter": {}, "changes": {}}, {"/changes"}),
        ("delete", {"filter": {}, "reason": "x", "more": 1}, {"/more"}),
        ("retry", {"filter": {}, "changes": {"nonsense": 1}}, {"/changes/nonsense"}),
        ("retry", {"filter": [], "dry_run": 1}, {"/dry_run"}),
    ],
)
def test_bad_request_names_everything_that_is_wrong(server: Server, action: str, body: Any, pointers: set[str]) -> None:
    status, problem = ask(server, "POST", f"/v1/jobs:{action}", body)
    assert status == 400
    assert {error["pointer"] for error in problem["errors"]} == pointers


def test_operation_that_is_not_there_is_not_found(server: Server) -> None:
    for operation in ("999", "x", "0"):
        assert server.call("GET", f"/v1/operations/{operation}").status == 404
        assert server.call("POST", f"/v1/operations/{operation}/cancel").status == 404
