"""Two nodes on one database are one server: whichever is asked, it knows and does the same."""

import time
from collections.abc import Callable, Mapping
from threading import Thread

from tests.cluster.nodes import SLEEP, SLOTS, Nodes
from tests.support.event_stream import event_stream
from tests.support.raw import Answer
from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.waiting import until


def test_status_counts_the_slots_of_all_live_nodes(nodes: Nodes) -> None:
    for server in nodes.servers:
        until(lambda server=server: server.get("/jobs/status")["data"]["max_threads"] == 2 * SLOTS)


def test_cancel_that_another_node_was_asked_for_is_done_within_a_second(nodes: Nodes) -> None:
    here, there = nodes.servers
    job_id = nodes.run_on(there)
    start = time.monotonic()
    assert here.call("POST", f"/v1/jobs/{job_id}/cancel").status in (200, 202)
    assert here.wait_end(job_id)["state"] == "cancelled"
    assert time.monotonic() - start < 2.0


def test_who_waits_on_another_node_hears_of_the_end_at_once(nodes: Nodes) -> None:
    here, there = nodes.servers
    job_id = nodes.run_on(there, {"type": "exec", "cmd": "sleep 2; date +%s.%N"})
    found = here.get(f"/v1/jobs/{job_id}?wait=20")
    told_at = time.clock_gettime(time.CLOCK_REALTIME)
    assert found["state"] == "completed"
    ended_at = float(here.output(job_id))
    assert told_at - ended_at < 1.5


def test_events_on_any_node_show_what_all_nodes_do(nodes: Nodes) -> None:
    here, there = nodes.servers
    with event_stream(here) as stream:
        job_ids: set[int] = set()

        def add() -> None:
            for _ in range(60):
                if seen:
                    return
                job_ids.add(there.add({"type": "exec", "cmd": "true"}))
                time.sleep(0.1)

        seen: list[str] = []
        adding = Thread(target=add)
        adding.start()
        for told in stream.frames():
            if told.name == "job.completed" and told.data["job_id"] in job_ids:
                seen.append(told.name)
                break
        adding.join()
    assert seen
    late = there.add({"type": "exec", "cmd": "true"})
    assert there.wait_end(late)["state"] == "completed"


def test_secret_that_one_node_was_told_is_known_on_all(nodes: Nodes, target: Target, path: str) -> None:
    here, there = nodes.servers
    target.on(path, Reply())
    answer = here.call("PUT", "/v1/secrets/everywhere", {"value": "swordfish"})
    assert answer.status in (200, 201), answer
    command = {"type": "http", "url": target.url + path, "headers": {"Authorization": {"secret_ref": "everywhere"}}}
    until(lambda: there.call("POST", "/v1/jobs", {"command": command}).status == 201, 12)
    assert target.wait(path)[0].header("authorization") == "swordfish"


def test_operation_is_done_once_whichever_nodes_work_on_it(nodes: Nodes) -> None:
    here, there = nodes.servers
    later = {"command": SLEEP, "delay": 3600, "context": "many"}
    for server in (here, there):
        assert server.call("POST", "/v1/jobs/batch", [later] * 300).status in (200, 201)
    found = here.call("POST", "/v1/jobs:cancel", {"filter": {"context": "many"}})
    assert found.status == 202, found
    operation = found.headers["Location"]

    def ended() -> object:
        shown = there.get(operation)
        return shown if shown["state"] == "completed" else None

    shown = until(ended, 15)
    assert (shown["done"], shown["skipped"]) == (600, 0)


def test_token_counts_on_all_nodes_soon_after_one_has_made_or_revoked_it(start_nodes: Callable[..., Nodes]) -> None:
    here, there = start_nodes(2).servers
    admin = bearer(here.call("POST", "/v1/tokens", {"name": "boss", "scopes": ["admin"]}))
    until(lambda: asked_calmly(there) == 401, 5)
    made = here.call("POST", "/v1/tokens", {"name": "ci", "scopes": ["read"]}, headers=admin)
    until(lambda: asked_calmly(there, bearer(made)) == 200, 5)
    revoked = here.call("DELETE", f"/v1/tokens/{made.json['id']}", headers=admin)
    assert revoked.status in (200, 204), revoked
    until(lambda: asked_calmly(there, bearer(made)) == 401, 5)
    assert there.call("GET", "/v1/jobs", headers=admin).status == 200


def asked_calmly(server: Server, headers: Mapping[str, str] | None = None) -> int:
    """The status for such a client, asked for so seldom that no limit for wrong tokens minds."""
    time.sleep(0.3)
    return server.call("GET", "/v1/jobs", headers=headers).status


def bearer(made: Answer) -> dict[str, str]:
    assert made.status == 201, made
    return {"Authorization": f"Bearer {made.json['token']}"}
