"""What /v1 shows, byte for byte: the order of members and their forms are part of the contract."""

from typing import Any

import msgspec

from queue_server.domain.command import HttpCommand, Unreadable
from queue_server.domain.job import Attempt, JobRecord, Plan
from queue_server.domain.outcome import OutcomeKind, Output, Timings
from queue_server.domain.retry import Retry
from queue_server.domain.state import State
from queue_server.operations.look import Status
from queue_server.store.contract import JobFilter, Operation, OperationState
from queue_server.web.v1.views import attempt_view, job_view, operation_view, stats_view
from tests.builders.jobs import HTTP, NOW, SECOND


def record(**members: Any) -> JobRecord:
    of_record: dict[str, Any] = {
        "id": 7,
        "state": State.AVAILABLE,
        "priority": 500,
        "run_at": NOW,
        "context": "default",
        "attempt": 0,
        "claim_seq": 0,
        "node_id": None,
        "created_at": NOW,
        "claimed_at": None,
        "ended_at": None,
        "reason": "",
        "parent_id": None,
        "plan": Plan(HTTP),
    }
    return JobRecord(**(of_record | members))


def encoded(view: object) -> str:
    return msgspec.json.encode(view).decode()


def test_new_job_shows_every_member_and_leaves_out_what_is_not_set():
    assert encoded(job_view(record())) == (
        '{"id":7,"state":"available","type":"http","summary":"GET example.com/work","queue":"default","key":null,'
        '"priority":500,"context":"default","tags":{},"command":{"type":"http","url":"http://example.com/work"},'
        '"attempt":0,"max_attempts":1,"run_at":"2025-11-24T09:30:00.000000Z","expires_at":null,"deadline":null,'
        '"retention":null,"created_at":"2025-11-24T09:30:00.000000Z","started_at":null,"ended_at":null,'
        '"outcome":null,"exit_code":null,"error":null,"reason":"","parent_id":null,"node_id":null,"claim":0,'
        '"cancel_requested":false,"heartbeat_until":null}'
    )


def test_ended_job_shows_all_that_was_sent_and_what_came_of_it():
    command = HttpCommand(url="http://example.com/x", json=msgspec.Raw(b'{"n":1e999}'))
    plan = Plan(command, HTTP, HTTP, Retry(3), expires_at=NOW, deadline=NOW + 1, retention=60.0, tags={"a": "b"})
    job = record(
        state=State.FAILED,
        plan=plan,
        queue="mails",
        key="acme",
        run_at=NOW + SECOND,
        claimed_at=NOW + 2 * SECOND,
        ended_at=NOW + 3 * SECOND,
        attempt=3,
        claim_seq=4,
        node_id=1,
        parent_id=2,
        outcome=OutcomeKind.FAILED,
        exit_code=500,
        error="it failed",
        reason="no attempts left",
        cancel_wished_at=NOW,
    )
    assert encoded(job_view(job)) == (
        '{"id":7,"state":"failed","type":"http","summary":"POST example.com/x","queue":"mails","key":"acme",'
        '"priority":500,"context":"default","tags":{"a":"b"},'
        '"command":{"type":"http","url":"http://example.com/x","json":{"n":1e999}},'
        '"callback_done":{"type":"http","url":"http://example.com/work"},'
        '"callback_failed":{"type":"http","url":"http://example.com/work"},"retry":{"max_attempts":3},'
        '"attempt":3,"max_attempts":3,"run_at":"2025-11-24T09:30:01.000000Z",'
        '"expires_at":"2025-11-24T09:30:00.000000Z","deadline":"2025-11-24T09:30:00.000001Z","retention":60.0,'
        '"created_at":"2025-11-24T09:30:00.000000Z","started_at":"2025-11-24T09:30:02.000000Z",'
        '"ended_at":"2025-11-24T09:30:03.000000Z","outcome":"failed","exit_code":500,"error":"it failed",'
        '"reason":"no attempts left","parent_id":2,"node_id":1,"claim":4,"cancel_requested":false,'
        '"heartbeat_until":null}'
    )


def test_job_that_goes_on_past_its_request_shows_when_a_sign_of_life_is_due():
    running = record(state=State.RUNNING, claimed_at=NOW, overdue_at=NOW + SECOND)
    assert job_view(running).heartbeat_until == "2025-11-24T09:30:01.000000Z"


def test_job_that_is_being_interrupted_says_so():
    assert job_view(record(state=State.RUNNING, claimed_at=NOW, cancel_wished_at=NOW)).cancel_requested


def test_limit_of_a_waiting_job_is_no_sign_of_life():
    assert job_view(record(overdue_at=NOW + SECOND)).heartbeat_until is None


def test_job_that_can_not_be_read_says_so():
    view = job_view(record(plan=Plan(Unreadable("from the future"))))
    assert (view.type, view.summary) == ("unreadable", "unreadable command")
    assert encoded(view.command) == '{"type":"unreadable","reason":"from the future"}'


def test_attempt_shows_its_times_in_seconds():
    attempt = Attempt(
        job_id=7,
        claim_seq=4,
        number=3,
        node_id=1,
        started_at=NOW + 2000,
        ended_at=NOW + 12_000,
        outcome=OutcomeKind.SUCCEEDED,
        exit_code=200,
        output=Output(size=12),
        due_at=NOW,
        timings=Timings(400, 9000),
    )
    assert encoded(attempt_view(attempt)) == (
        '{"number":3,"claim":4,"node_id":1,"started_at":"2025-11-24T09:30:00.002000Z",'
        '"ended_at":"2025-11-24T09:30:00.012000Z","duration":0.01,"queued":0.002,"connect":0.0004,"first_byte":0.009,'
        '"outcome":"succeeded","exit_code":200,"signal":null,"error":null,"output_size":12}'
    )


def test_attempt_whose_clock_was_set_back_has_no_negative_times():
    attempt = Attempt(7, 1, 1, 1, NOW, NOW - 5, OutcomeKind.FAILED, due_at=NOW + 5)
    view = attempt_view(attempt)
    assert (view.duration, view.queued, view.connect, view.first_byte) == (0, 0, None, None)


def test_stats_show_every_state():
    counts = {state: number for number, state in enumerate(State)}
    assert encoded(stats_view(Status(counts, 100), "1.0")) == (
        '{"version":"1.0","jobs":{"scheduled":0,"available":1,"running":2,"completed":3,"failed":4,"cancelled":5},'
        '"slots":{"total":100,"free":98}}'
    )


def test_operation_shows_what_its_filter_sets_only():
    operation = Operation(
        id=1,
        action="retry",
        state=OperationState.RUNNING,
        filter=JobFilter(states=(State.FAILED,), tags={"a": "b"}, created_after=NOW),
        reason="",
        changes="{}",
        last_id=9,
        next_id=1,
        matched=12,
        done=5,
        skipped=0,
        created_at=NOW,
        ended_at=None,
        error=None,
    )
    assert encoded(operation_view(operation)) == (
        '{"id":1,"action":"retry","filter":{"state":["failed"],"tags":{"a":"b"},'
        '"created_after":"2025-11-24T09:30:00.000000Z"},"state":"running","matched":12,"done":5,"skipped":0,'
        '"created_at":"2025-11-24T09:30:00.000000Z","ended_at":null,"error":null}'
    )
