"""Attempts that go on at their target, past the request that started them."""

import pytest
from hypothesis import strategies as st

from queue_server.domain.instants import rfc3339
from queue_server.domain.lifecycle import decide, next_sign_of_life, overdue
from queue_server.domain.outcome import FAILED, SUCCEEDED, TIMED_OUT, Outcome, OutcomeKind
from queue_server.domain.retry import YEAR_S, Retry
from queue_server.domain.state import State
from tests.builders.jobs import HTTP, NOW, SECOND, decided, job, moment, plan
from tests.builders.properties import for_all
from tests.builders.strategies import jobs, moments

CONTINUED = OutcomeKind.CONTINUED
running = jobs(st.just(State.RUNNING))


def test_attempt_that_goes_on_keeps_its_job_running_until_the_next_sign_of_life():
    transition = decided(job(plan=plan(callback_done=HTTP), refunded=1, losses=1), CONTINUED, heartbeat=30.0)
    assert (transition.from_state, transition.state) == (State.RUNNING, State.RUNNING)
    assert (transition.overdue_at, transition.ended_at) == (NOW + 30 * SECOND, None)
    assert (transition.attempt, transition.callbacks) == (None, ())
    assert (transition.refunded, transition.losses) == (1, 1)
    assert transition.reason == "goes on at its target, which reports the result"
    assert transition.continues
    assert not transition.changes_nothing


def test_sign_of_life_is_due_by_the_deadline():
    about = job(plan=plan(deadline=NOW + 20 * SECOND))
    assert decided(about, CONTINUED, heartbeat=30.0).overdue_at == NOW + 20 * SECOND
    assert decided(about, CONTINUED, heartbeat=10.0).overdue_at == NOW + 10 * SECOND


@for_all(running, st.floats(), moments)
def test_sign_of_life_is_due_within_a_year_whatever_a_target_wishes(about, heartbeat, when):
    transition = decide(about, Outcome(CONTINUED, heartbeat=heartbeat), when)
    if about.is_cancel_wished:
        assert transition.state is State.CANCELLED
        return
    assert transition.continues
    assert transition.overdue_at == next_sign_of_life(about, heartbeat, when.now)
    assert transition.overdue_at <= when.now + YEAR_S * SECOND
    assert transition.overdue_at >= min(when.now, about.plan.deadline or when.now)


def test_target_that_falls_silent_times_the_attempt_out():
    about = job(plan=plan(retry=Retry(max_attempts=2, backoff="none")))
    what = overdue(about, NOW)
    assert what == Outcome(TIMED_OUT, error="no heartbeat came in time from its target")
    transition = decide(about, what, moment())
    assert transition.state is State.AVAILABLE
    assert transition.attempt.outcome is TIMED_OUT
    assert decide(job(), what, moment()).reason == "no heartbeat came in time from its target"


def test_attempt_that_goes_on_past_the_deadline_is_timed_out_for_it():
    about = job(plan=plan(deadline=NOW, retry=Retry(max_attempts=2, backoff="none")))
    transition = decide(about, overdue(about, NOW), moment())
    assert (transition.state, transition.attempt.outcome) == (State.FAILED, TIMED_OUT)
    assert transition.attempt.error == f"its deadline, {rfc3339(NOW)}, passed"


@pytest.mark.parametrize("kind", [SUCCEEDED, FAILED, TIMED_OUT])
def test_attempt_that_went_on_ends_like_any_other(kind):
    assert decided(job(), kind).state is (State.COMPLETED if kind is SUCCEEDED else State.FAILED)


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_attempt_of_a_job_that_does_not_run_does_not_go_on(state):
    assert decided(job(state), CONTINUED).changes_nothing
