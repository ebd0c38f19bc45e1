"""Jobs that run now, change, or run again because somebody asked for it."""

import pytest
from msgspec import Raw

from queue_server.domain import wishes
from queue_server.domain.command import ExecCommand, HttpCommand, Unreadable
from queue_server.domain.composing import Defaults
from queue_server.domain.errors import InvalidJob
from queue_server.domain.instants import parse_instant
from queue_server.domain.job import decode_plan
from queue_server.domain.lifecycle import Moment, decide, first_state
from queue_server.domain.outcome import FAILED, Outcome
from queue_server.domain.retry import Retry
from queue_server.domain.revising import NO_PATCH, read_patch
from queue_server.domain.state import State
from queue_server.domain.wishes import Revision
from tests.builders.jobs import NOW, REPORT, SECOND, plan, record

DEFAULTS = Defaults()
PATCH = read_patch(b'{"priority":9}')


# Run now.


def test_scheduled_job_becomes_available_now_and_is_otherwise_as_it_was():
    about = record(
        State.SCHEDULED,
        attempt=2,
        claim_seq=3,
        refunded=1,
        losses=1,
        first_started_at=5,
        reason="attempt 1 of 3 failed",
        priority=9,
        queue="q",
        context="c",
        key="k",
        plan=plan(deadline=NOW + 9, expires_at=NOW + 5),
    )
    change = wishes.run_now(about, NOW)
    assert (change.state, change.run_at, change.type, change.payload) == (State.AVAILABLE, NOW, None, None)
    same = ["priority", "queue", "context", "key", "refunded", "losses", "first_started_at", "reason", "plan"]
    assert [getattr(change, name) for name in same] == [getattr(about, name) for name in same]
    assert change.overdue_at == NOW + 9, "it has started in time"


# Revise.


def test_waiting_job_changes_only_where_it_is_told_to():
    about = record(State.SCHEDULED, key="k", plan=plan(expires_at=NOW + 9, retry=Retry(3)))
    change = wishes.revise(about, PATCH, DEFAULTS, NOW)
    assert change == Revision(
        job_id=7,
        from_state=State.SCHEDULED,
        claim_seq=0,
        state=State.SCHEDULED,
        type="http",
        priority=9,
        run_at=about.run_at,
        queue="default",
        context="default",
        key="k",
        overdue_at=NOW + 9,
        refunded=0,
        losses=0,
        first_started_at=None,
        reason="",
        plan=about.plan,
        payload=None,
    )


def test_changed_plan_is_stored_anew():
    change = wishes.revise(record(), read_patch(b'{"tags":{"a":"b"}}'), DEFAULTS, NOW)
    assert decode_plan(change.payload) == change.plan == plan(tags={"a": "b"})


def test_job_may_change_its_type():
    command = b'{"command":{"type":"exec","cmd":"true","url":null}}'
    change = wishes.revise(record(), read_patch(command), DEFAULTS, NOW)
    assert (change.type, change.plan.command) == ("exec", ExecCommand(cmd="true"))


@pytest.mark.parametrize(
    ("state", "patch", "run_at"),
    [
        (State.SCHEDULED, b'{"delay":5}', NOW + 5 * SECOND),
        (State.SCHEDULED, b'{"delay":0}', NOW),
        (State.SCHEDULED, b'{"run_at":null}', NOW),
        (State.SCHEDULED, b'{"run_at":"2001-01-01T00:00:00Z"}', NOW),
        (State.AVAILABLE, b'{"delay":5}', NOW + 5 * SECOND),
        (State.AVAILABLE, b'{"run_at":"2026-11-24T09:30:00Z"}', parse_instant("2026-11-24T09:30:00Z")),
    ],
)
def test_job_that_is_moved_waits_for_its_new_time(state, patch, run_at):
    change = wishes.revise(record(state), read_patch(patch), DEFAULTS, NOW)
    assert (change.run_at, change.state) == (run_at, first_state(run_at, NOW))


def test_job_that_is_not_moved_keeps_its_time_and_state():
    due = record(State.SCHEDULED, run_at=NOW - 1)
    change = wishes.revise(due, PATCH, DEFAULTS, NOW)
    assert (change.run_at, change.state) == (NOW - 1, State.SCHEDULED), "a claim makes it available"


def test_limits_in_seconds_count_from_the_change():
    change = wishes.revise(record(), read_patch(b'{"ttl":5,"deadline":7}'), DEFAULTS, NOW)
    assert (change.plan.expires_at, change.plan.deadline) == (NOW + 5 * SECOND, NOW + 7 * SECOND)
    assert change.overdue_at == NOW + 5 * SECOND


@pytest.mark.parametrize("started", [None, NOW - SECOND])
def test_job_that_has_started_is_overdue_at_its_deadline_only(started):
    about = record(attempt=3, first_started_at=started, plan=plan(expires_at=NOW + 5, deadline=NOW + 9))
    change = wishes.revise(about, PATCH, DEFAULTS, NOW)
    assert change.overdue_at == (NOW + 5 if started is None else NOW + 9)


def test_callback_goes_on_reporting_what_it_reports():
    about = record(plan=plan(report=REPORT))
    assert wishes.revise(about, read_patch(b'{"tags":{"a":"b"}}'), DEFAULTS, NOW).plan.report == REPORT


def test_settings_of_the_server_are_no_reason_to_change_a_job():
    """Its retry is what it was when it was added, unless the patch speaks of it."""
    defaults = Defaults(7, "server", Retry(9, "fixed", 5.0, 50.0, 0.0))
    for retry in (None, Retry(3), Retry(2, "none", 0.0, 1.0, 1.0, "500-599", 60.0)):
        about = record(plan=plan(retry=retry))
        change = wishes.revise(about, read_patch(b'{"tags":{"a":"b"}}'), defaults, NOW)
        assert (change.plan.retry, change.priority, change.context) == (retry, 500, "default")
    change = wishes.revise(record(), read_patch(b'{"retry":{"max_attempts":2}}'), defaults, NOW)
    assert change.plan.retry == Retry(2, "fixed", 5.0, 50.0, 0.0), "as if it were sent now"
    change = wishes.revise(record(plan=plan(retry=Retry(3))), read_patch(b'{"retry":null}'), defaults, NOW)
    assert change.plan.retry == defaults.retry


def test_patch_that_makes_no_good_job_is_no_answer():
    with pytest.raises(InvalidJob, match="/priority: must be"):
        wishes.revise(record(), read_patch(b'{"priority":-1}'), DEFAULTS, NOW)
    with pytest.raises(InvalidJob, match="/priority: must be"):
        wishes.retry(record(State.FAILED), read_patch(b'{"priority":-1}'), DEFAULTS, NOW)


# Retry.


def test_final_job_runs_again_with_a_fresh_budget():
    about = record(
        State.FAILED, attempt=5, claim_seq=6, refunded=2, losses=3, plan=plan(retry=Retry(3)), queue="q", key="k"
    )
    change = wishes.retry(about, NO_PATCH, DEFAULTS, NOW)
    assert (change.state, change.run_at, change.reason) == (State.AVAILABLE, NOW, "tried again on request")
    assert (change.refunded, change.losses, change.first_started_at) == (5, 0, None)
    assert (change.queue, change.key, change.plan.retry, change.payload) == ("q", "k", Retry(3), None)
    again = record(State.RUNNING, attempt=6, claim_seq=7, refunded=change.refunded, plan=change.plan).as_job()
    assert again.counted_attempts == 1
    assert decide(again, Outcome(FAILED), Moment(NOW, NOW)).state is State.SCHEDULED


@pytest.mark.parametrize(
    ("expires_at", "deadline", "kept"),
    [
        (NOW - 1, NOW, (None, None, None)),
        (NOW, NOW + 1, (None, NOW + 1, NOW + 1)),
        (NOW + 1, NOW - 1, (NOW + 1, None, NOW + 1)),
        (NOW + 1, NOW + 2, (NOW + 1, NOW + 2, NOW + 1)),
        (None, None, (None, None, None)),
    ],
)
def test_limits_that_have_passed_are_dropped(expires_at, deadline, kept):
    about = record(State.FAILED, plan=plan(expires_at=expires_at, deadline=deadline, tags={"a": "b"}))
    for patch in (NO_PATCH, PATCH):
        change = wishes.retry(about, patch, DEFAULTS, NOW)
        assert (change.plan.expires_at, change.plan.deadline, change.overdue_at) == kept
        assert decode_plan(change.payload or b"{}").expires_at == (kept[0] if change.payload else None)
        assert change.plan.tags == {"a": "b"}


def test_final_job_is_changed_and_put_off_before_it_runs_again():
    patch = read_patch(b'{"delay":5,"priority":9,"queue":"slow","retry":{"max_attempts":7},"ttl":60}')
    change = wishes.retry(record(State.COMPLETED, plan=plan(retry=Retry(3))), patch, DEFAULTS, NOW)
    assert (change.state, change.run_at) == (State.SCHEDULED, NOW + 5 * SECOND)
    assert (change.priority, change.queue, change.plan.retry.max_attempts) == (9, "slow", 7)
    assert (change.plan.expires_at, change.overdue_at) == (NOW + 60 * SECOND, NOW + 60 * SECOND)


def test_job_whose_plan_cannot_be_read_is_not_overwritten():
    """A later version of the server may be able to read it."""
    about = record(State.FAILED, plan=plan(Unreadable(reason="of a later version")))
    assert wishes.retry(about, NO_PATCH, DEFAULTS, NOW).payload is None
    assert wishes.run_now(record(State.SCHEDULED, plan=about.plan), NOW).payload is None


def test_body_of_a_command_survives_byte_by_byte():
    command = HttpCommand(url="http://a/", json=Raw(b'{ "n" : 12345678901234567890123 }'))
    change = wishes.revise(record(plan=plan(command)), read_patch(b'{"retention":5}'), DEFAULTS, NOW)
    assert bytes(decode_plan(change.payload).command.json) == b'{ "n" : 12345678901234567890123 }'
