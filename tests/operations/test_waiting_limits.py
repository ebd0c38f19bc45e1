"""No context may fill the queue for the others: its new jobs are refused while too many of it wait."""

import pytest

from tests.support import fixtures
from tests.support.batches import array, assert_is_refused, job, lines, send
from tests.support.fixtures import Starter
from tests.support.server import Server

make_server = fixtures.make_server


@pytest.fixture
def server(make_server: Starter) -> Server:
    return make_server("--max-waiting-per-context", "3", "--default-context", "app").start()


def test_full_context_is_503_that_names_it_and_the_setting_and_others_are_served(server: Server) -> None:
    for _ in range(3):
        assert server.call("POST", "/v1/jobs", job(context="shop")).status == 201
    for path in ("/v1/jobs", "/jobs/add"):
        answer = server.call("POST", path, job(context="shop"))
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        told = answer.json.get("detail") or answer.json["data"]
        assert told == "the context shop is full: 3 of its jobs wait (setting max_waiting_per_context)"
    assert server.call("POST", "/v1/jobs", job(context="other")).status == 201


def test_job_that_names_no_context_counts_for_the_default_one(server: Server) -> None:
    for context in ({}, {"context": "app"}, {}):
        assert server.call("POST", "/v1/jobs", job(**context)).status == 201
    assert server.call("POST", "/v1/jobs", job()).status == 503
    assert server.call("POST", "/v1/jobs", job(context="app")).status == 503


def test_batch_is_stored_whole_or_not_at_all(server: Server) -> None:
    assert_is_refused(send(server, array([job(context="shop")] * 4)), 503)
    assert_is_refused(send(server, lines([job(context="other"), *[job(context="shop")] * 4])), 503)
    assert server.get("/jobs/status")["data"]["waiting"] == 0
    assert send(server, array([job(context=one) for one in ("a", "a", "a", "b", "b", "b")])).status == 201


def test_room_comes_back_with_cancelled_and_changed_jobs_and_holds_after_a_restart(server: Server) -> None:
    ids = [server.call("POST", "/v1/jobs", job(context="shop")).json["id"] for _ in range(3)]
    assert server.call("POST", f"/v1/jobs/{ids[0]}/cancel").status == 200
    assert server.call("PATCH", f"/v1/jobs/{ids[1]}", {"context": "b"}).status == 200
    for status in (201, 201, 503):
        assert server.call("POST", "/v1/jobs", job(context="shop")).status == status
    assert server.stop() == 0
    server.start()
    assert server.call("POST", "/v1/jobs", job(context="shop")).status == 503
    assert server.call("POST", "/v1/jobs", job(context="b")).status == 201


def test_context_is_not_limited_where_the_setting_is_off(make_server: Starter) -> None:
    server = make_server().start()
    assert send(server, array([job(context="shop")] * 100)).status == 201
