"""What ends the trying of a job before its attempts are used up, and what ends a job that has not started."""

import pytest
from hypothesis import strategies as st

from queue_server.domain.instants import rfc3339
from queue_server.domain.job import decode_plan
from queue_server.domain.lifecycle import decide, overdue
from queue_server.domain.outcome import FAILED, SUCCEEDED, TIMED_OUT, Outcome, OutcomeKind
from queue_server.domain.retry import ONCE, Retry, delay_after, is_worth_retrying
from queue_server.domain.state import WAITING_STATES, State
from tests.builders.jobs import HTTP, NOW, SECOND, decided, job, moment, plan
from tests.builders.properties import for_all
from tests.builders.strategies import codes, errors, jobs, moments, seconds

running = jobs(st.just(State.RUNNING))


def retrying(**members):
    """A plan that is tried three times, 10 s after each other; `members` are the retry's, or else the plan's."""
    of_plan = {name: members.pop(name) for name in list(members) if name in plan().__struct_fields__}
    return plan(
        retry=Retry(**({"max_attempts": 3, "backoff": "fixed", "min_delay": 10, "jitter": 0} | members)), **of_plan
    )


failures = st.builds(Outcome, st.sampled_from([FAILED, TIMED_OUT]), exit_code=codes, error=errors, retry_after=seconds)


@for_all(running, failures, moments)
def test_failure_is_final_exactly_when_nothing_is_left_to_try(about, what, when):
    retry = about.plan.retry or ONCE
    counted = about.counted_attempts
    run_at = when.now + delay_after(retry, counted, retry_after=what.retry_after, chance=when.chance)
    ends = (
        counted >= retry.max_attempts
        or (what.kind is FAILED and not is_worth_retrying(retry, what.exit_code))
        or (retry.max_duration is not None and run_at > about.first_started_at + round(retry.max_duration * SECOND))
        or (about.plan.deadline is not None and run_at >= about.plan.deadline)
    )
    transition = decide(about, what, when)
    if about.is_cancel_wished:
        assert transition.state is State.CANCELLED
    else:
        assert (transition.state is State.FAILED) == ends
        assert transition.run_at == (None if ends else run_at)
        assert transition.overdue_at == (None if ends else about.plan.deadline)
        assert transition.reason


# retry_on


def test_failure_whose_code_is_listed_is_tried_again():
    about = job(plan=retrying(retry_on="429,500-599"))
    assert decided(about, FAILED, exit_code=429).state is State.SCHEDULED
    assert decided(about, FAILED, exit_code=503).state is State.SCHEDULED


def test_failure_whose_code_is_not_listed_is_final_and_says_so():
    transition = decided(job(plan=retrying(retry_on="429,500-599")), FAILED, exit_code=404, error="HTTP 404")
    assert transition.state is State.FAILED
    expected = "attempt 1 of 3 failed: HTTP 404; not tried again: 404 is not in retry_on (429,500-599)"
    assert transition.reason == expected


def test_failure_without_a_code_is_always_tried_again():
    about = job(plan=retrying(retry_on="429"))
    assert decided(about, FAILED, error="connection refused").state is State.SCHEDULED
    assert decided(about, TIMED_OUT).state is State.SCHEDULED


def test_timeout_after_the_head_of_an_answer_is_tried_again():
    assert decided(job(plan=retrying(retry_on="429")), TIMED_OUT, exit_code=200).state is State.SCHEDULED


# max_duration


def test_attempt_that_would_start_after_max_duration_is_not_planned():
    about = job(plan=retrying(max_duration=20), first_started_at=NOW - 10 * SECOND)
    assert decided(about, FAILED).state is State.SCHEDULED
    assert decided(about, FAILED).run_at == about.first_started_at + 20 * SECOND
    late = decided(about, FAILED, now=NOW + 1, error="HTTP 500")
    assert late.state is State.FAILED
    assert late.reason == (
        "attempt 1 of 3 failed: HTTP 500; not tried again: max_duration (20 s since the first attempt) would be over"
    )


def test_max_duration_ends_no_job_that_is_given_back():
    about = job(plan=retrying(max_duration=0), first_started_at=NOW - 10 * SECOND)
    for kind in (OutcomeKind.INTERRUPTED, OutcomeKind.LEASE_EXPIRED, OutcomeKind.SNOOZED):
        assert decided(about, kind).state is State.AVAILABLE


# deadline


def test_attempt_that_would_start_at_the_deadline_is_not_planned():
    before = decided(job(plan=retrying(deadline=NOW + 10 * SECOND + 1)), FAILED)
    assert (before.state, before.overdue_at) == (State.SCHEDULED, NOW + 10 * SECOND + 1)
    at = decided(job(plan=retrying(deadline=NOW + 10 * SECOND)), FAILED, error="HTTP 500")
    assert at.state is State.FAILED
    assert at.reason == (
        f"attempt 1 of 3 failed: HTTP 500; not tried again: its deadline, {rfc3339(NOW + 10 * SECOND)}, comes first"
    )


@pytest.mark.parametrize("kind", [OutcomeKind.INTERRUPTED, OutcomeKind.LEASE_EXPIRED, OutcomeKind.SNOOZED])
def test_job_that_is_given_back_keeps_its_deadline_and_has_started_in_time(kind):
    transition = decided(job(plan=plan(expires_at=NOW - SECOND, deadline=NOW + SECOND)), kind)
    assert transition.overdue_at == NOW + SECOND
    assert decided(job(plan=plan(expires_at=NOW - SECOND)), kind).overdue_at is None


def test_success_after_the_deadline_is_a_success():
    assert decided(job(plan=plan(deadline=NOW - SECOND)), SUCCEEDED).state is State.COMPLETED


def test_message_of_a_last_attempt_tells_of_the_attempts_and_not_of_a_limit():
    transition = decided(job(plan=retrying(max_attempts=1, deadline=NOW)), FAILED, error="HTTP 500")
    assert transition.reason == "HTTP 500"


# Not started in time.


@pytest.mark.parametrize("state", WAITING_STATES)
def test_job_that_has_not_started_by_its_expires_at_fails(state):
    about = job(state, attempt=0, claim_seq=0, plan=plan(expires_at=NOW, callback_failed=HTTP, retention=5))
    transition = decided(about, overdue(about, NOW).kind)
    assert (transition.state, transition.ended_at, transition.attempt) == (State.FAILED, NOW, None)
    assert transition.keep_until == NOW + 5 * SECOND
    assert transition.reason == f"not started by its expires_at, {rfc3339(NOW)}"
    report = decode_plan(transition.callbacks[0].payload).report
    assert (report.error, report.attempts, report.state) == (transition.reason, 0, State.FAILED)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"deadline": NOW}, f"its deadline, {rfc3339(NOW)}, passed while it waited"),
        ({"deadline": NOW, "expires_at": NOW + 9}, f"its deadline, {rfc3339(NOW)}, passed while it waited"),
        ({"deadline": NOW - 1, "expires_at": NOW - 9}, f"its deadline, {rfc3339(NOW - 1)}, passed while it waited"),
        ({"deadline": NOW + 9, "expires_at": NOW}, f"not started by its expires_at, {rfc3339(NOW)}"),
        ({"deadline": NOW + 9}, f"its deadline, {rfc3339(NOW + 9)}, passed while it waited"),
        ({}, "not started in time"),
    ],
    ids=str,
)
def test_job_that_expires_says_which_limit_it_was(limits, reason):
    """The last two: the clock was set back since it was found; its plan can't be read any more."""
    assert decided(job(State.AVAILABLE, plan=plan(**limits)), OutcomeKind.EXPIRED).reason == reason


@for_all(jobs(), moments)
def test_overdue_job_ends_or_runs_again(about, when):
    """It can't be found again and again by who looks for overdue jobs."""
    transition = decide(about, overdue(about, when.now), when)
    if about.state.is_final:
        assert transition.changes_nothing
    elif about.state in WAITING_STATES:
        assert transition.state.is_final
    else:
        assert not transition.continues
        assert transition.attempt is not None


def test_job_that_was_to_be_cancelled_when_its_end_was_decided_is_cancelled():
    for state in (*WAITING_STATES, State.RUNNING):
        about = job(state, is_cancel_wished=True)
        assert overdue(about, NOW).kind is OutcomeKind.CANCELLED
        assert decide(about, overdue(about, NOW), moment()).state is State.CANCELLED


# Nothing follows a wish to cancel.


@pytest.mark.parametrize("kind", set(OutcomeKind) - {SUCCEEDED, OutcomeKind.EXPIRED, OutcomeKind.CANCELLED})
def test_running_job_that_is_to_be_cancelled_is_whatever_becomes_of_its_attempt(kind):
    transition = decided(job(plan=retrying(), is_cancel_wished=True), kind, error="HTTP 500", exit_code=500)
    assert (transition.state, transition.reason) == (State.CANCELLED, "cancelled on request")
    assert (transition.attempt.outcome, transition.attempt.error) == (kind, "HTTP 500"), "the record tells the truth"
    assert (transition.refunded, transition.losses) == (0, 0)


def test_running_job_that_is_to_be_cancelled_completes_if_it_was_quicker():
    assert decided(job(is_cancel_wished=True), SUCCEEDED).state is State.COMPLETED


def test_cancelled_job_has_the_reason_that_was_given():
    assert decided(job(), OutcomeKind.CANCELLED, error="not needed any more").reason == "not needed any more"
    assert decided(job(), OutcomeKind.CANCELLED, error="").reason == "cancelled on request"


def test_job_with_its_own_retention_says_until_when_it_is_kept():
    for state, kind in ((State.COMPLETED, SUCCEEDED), (State.FAILED, FAILED), (State.CANCELLED, OutcomeKind.CANCELLED)):
        transition = decided(job(plan=plan(retention=1.5)), kind)
        assert (transition.state, transition.keep_until) == (state, NOW + 1_500_000)
    assert decided(job(plan=plan(retention=0)), SUCCEEDED).keep_until == NOW
    assert decided(job(plan=retrying(retention=5)), FAILED).keep_until is None, "it has not ended"
