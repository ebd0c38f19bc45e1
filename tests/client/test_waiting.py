import json
import time

import pytest

from queue_server.client import StillGoingOn, Unreachable
from tests.cli.stub_server import Answer, Stub, job, of
from tests.client.talking import AsyncTalk, SyncTalk, Talk


def test_the_server_is_asked_to_hold_its_answer_back(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "running")), of(job(7, "failed")))
    assert talk.call("wait", 7).has_failed
    assert [asked.query for asked in stub.asked] == [{"wait": "30.0"}] * 2


def test_it_is_given_up_after_its_time_and_tells_how_the_job_was(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "running")))
    start = time.monotonic()
    with pytest.raises(StillGoingOn, match=r"^job 7 is still running after 0\.2 s$") as caught:
        talk.call("wait", 7, timeout=0.2)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.last.state == "running"
    assert 0.2 <= time.monotonic() - start < 2
    assert all(float(asked.query["wait"]) <= 0.2 for asked in stub.asked)
    assert len(stub.asked) <= 4


def test_no_time_is_one_look(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "running")))
    with pytest.raises(StillGoingOn):
        talk.call("wait", 7, timeout=0)
    assert [asked.query for asked in stub.asked] == [{"wait": "0.0"}]


def test_a_break_meanwhile_is_mended(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "running")), Answer(200, b"{", breaks=True), of(job(7)))
    assert talk.call("wait", 7).state == "completed"


def test_an_operation_is_waited_for(talk: Talk, stub: Stub) -> None:
    operation = {"id": 3, "action": "cancel", "state": "running", "created_at": "2026-11-24T09:30:00.000000Z"}
    stub.tell("GET /v1/operations/3", of(operation), of({**operation, "state": "completed", "done": 4}))
    assert talk.call("wait_operation", 3).done == 4
    stub.tell("GET /v1/operations/3", of(operation))
    with pytest.raises(StillGoingOn, match="operation 3 is still running"):
        talk.call("wait_operation", 3, timeout=0)


@pytest.mark.parametrize("kind", [SyncTalk, AsyncTalk])
def test_a_server_that_holds_its_answer_back_is_not_given_up(kind: type[SyncTalk], stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", Answer(200, json.dumps(job(7)).encode(), delay=0.4))
    stub.tell("POST /v1/jobs/7/cancel", Answer(200, json.dumps(job(7)).encode(), delay=0.4))
    with kind(stub.url, timeout=0.2, retry_for=0) as talk:
        assert talk.call("wait", 7).id == 7
        assert talk.call("cancel", 7, wait=1).id == 7
        with pytest.raises(Unreachable, match="in time"):
            talk.call("get", 7)


def test_a_server_that_is_away_is_waited_for_no_longer_than_the_job() -> None:
    with SyncTalk("http://127.0.0.1:9", retry_for=60) as talk:
        talk.client._connection._was_reached = True
        with pytest.raises(Unreachable):
            talk.call("wait", 7, timeout=0.2)
