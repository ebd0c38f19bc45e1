"""Idempotency keys of batches: of the whole batch, and of its jobs."""

import json
from collections.abc import Iterator

import pytest

from tests.support.batches import array, assert_is_refused, job, lines, send, waiting
from tests.support.server import Server


@pytest.fixture
def nothing_is_stored(server: Server) -> Iterator[None]:
    """The test leaves the queue as it was, and the server well."""
    before = waiting(server)
    yield
    assert waiting(server) == before
    assert "Traceback" not in server.log


def test_batch_with_a_known_key_is_replayed(server: Server) -> None:
    jobs = [job(number) for number in range(3)]
    first = send(server, array(jobs), "batch 1")
    assert (first.status, first.json["replayed"]) == (201, 0)
    before = waiting(server)
    for body in (array(jobs), lines(jobs), json.dumps(jobs, indent=4).encode()):
        again = send(server, body, "batch 1")
        assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
        assert again.json == first.json | {"replayed": 3}
    assert waiting(server) == before
    assert send(server, array(jobs), "another key").status == 201


@pytest.mark.parametrize(
    "other",
    [[job(0)], [job(0), job(1), job(2)], [job(1), job(0)], [job(0), job(7)], [job(0), job(1, priority=1)]],
    ids=["fewer", "more", "another order", "another job", "another member"],
)
def test_known_key_with_another_batch_is_422(server: Server, other: list[object]) -> None:
    key = f"batch of {other}"[:255]
    first = send(server, array([job(0), job(1)]), key)
    before = waiting(server)
    answer = send(server, array(other), key)
    assert_is_refused(answer, 422)
    assert key[:50] in answer.json["detail"]
    assert "\\x00" not in answer.json["detail"]
    assert waiting(server) == before
    assert send(server, array([job(0), job(1)]), key).json["ids"] == first.json["ids"]


def test_key_of_a_batch_is_not_that_of_a_job(server: Server) -> None:
    headers = {"Idempotency-Key": "one for both"}
    single = server.call("POST", "/v1/jobs", job(), headers)
    batch = send(server, array([job()]), "one for both")
    assert (single.status, batch.status) == (201, 201)
    assert [single.json["id"]] != batch.json["ids"]


def test_key_whose_job_has_been_deleted_is_410(server: Server) -> None:
    ids = send(server, array([job(0), job(1)]), "to be deleted").json["ids"]
    assert server.call("POST", f"/v1/jobs/{ids[1]}/cancel").status == 200
    assert server.call("DELETE", f"/v1/jobs/{ids[1]}").status == 204
    before = waiting(server)
    assert_is_refused(send(server, array([job(0), job(1)]), "to be deleted"), 410)
    assert waiting(server) == before


def test_jobs_may_have_keys_of_their_own(server: Server) -> None:
    jobs = [job(0, idempotency_key="own 0"), job(1), job(2, idempotency_key="own 2")]
    first = send(server, array(jobs))
    assert first.json["replayed"] == 0
    again = send(server, array([*jobs, job(3, idempotency_key="own 3")]))
    assert (again.status, again.json["replayed"], again.json["count"]) == (201, 2, 4)
    assert [again.json["ids"][place] for place in (0, 2)] == [first.json["ids"][place] for place in (0, 2)]
    assert again.json["ids"][1] not in first.json["ids"]
    twice = send(server, array([job(5, idempotency_key="own 5")] * 2)).json
    assert (twice["replayed"], len(set(twice["ids"]))) == (1, 1)


@pytest.mark.usefixtures("nothing_is_stored")
def test_one_key_for_two_jobs_of_a_batch_is_400(server: Server) -> None:
    answer = send(server, array([job(0), job(1, idempotency_key="same"), job(2, idempotency_key="same")]))
    assert_is_refused(answer, 400, "/2/idempotency_key")


@pytest.mark.usefixtures("nothing_is_stored")
@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_key_that_is_none_is_400(server: Server, key: str) -> None:
    assert_is_refused(send(server, array([job()]), key), 400)
