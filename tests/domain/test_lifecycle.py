import msgspec
import pytest
from hypothesis import strategies as st

from queue_server.domain.job import Plan, decode_plan
from queue_server.domain.lifecycle import TABLE, Transition, decide, first_state
from queue_server.domain.outcome import FAILED, SUCCEEDED, TIMED_OUT, OutcomeKind
from queue_server.domain.retry import CALLBACK_RETRY, Retry
from queue_server.domain.state import FINAL_STATES, WAITING_STATES, State
from tests.builders.jobs import EXEC, HTTP, NOW, REPORT, SECOND, decided, job, moment, outcome, plan
from tests.builders.properties import for_all
from tests.builders.strategies import jobs, moments, outcomes

RETRYING = plan(retry=Retry(max_attempts=3, backoff="fixed", min_delay=10, jitter=0))

running = jobs(st.just(State.RUNNING))
waiting = jobs(st.sampled_from(WAITING_STATES))
final = jobs(st.sampled_from(FINAL_STATES))

ALLOWED = {
    OutcomeKind.SUCCEEDED: {State.COMPLETED},
    OutcomeKind.FAILED: {State.FAILED, State.SCHEDULED, State.AVAILABLE},
    OutcomeKind.TIMED_OUT: {State.FAILED, State.SCHEDULED, State.AVAILABLE},
    OutcomeKind.CANCELLED: {State.CANCELLED},
    OutcomeKind.INTERRUPTED: {State.AVAILABLE},
    OutcomeKind.LEASE_EXPIRED: {State.AVAILABLE, State.FAILED},
    OutcomeKind.SNOOZED: {State.SCHEDULED, State.AVAILABLE},
    OutcomeKind.CONTINUED: {State.RUNNING},
    OutcomeKind.EXPIRED: {State.RUNNING},
}
"""Where a running job may go."""

NOT_COUNTED = (OutcomeKind.INTERRUPTED, OutcomeKind.LEASE_EXPIRED, OutcomeKind.SNOOZED)
NO_ENDS = (OutcomeKind.CONTINUED, OutcomeKind.EXPIRED)
"""Outcomes that end no attempt: one goes on at its target, the other is that of a job that has not started."""


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", OutcomeKind)
def test_table_has_one_rule_for_each_state_and_outcome(state, kind):
    assert (state, kind) in TABLE
    assert len(TABLE) == len(State) * len(OutcomeKind)
    transition = decide(job(state), outcome(kind), moment())
    assert transition == decide(job(state), outcome(kind), moment())
    assert isinstance(transition, Transition)


@for_all(jobs(), outcomes, moments)
def test_transition_is_fenced_by_the_job_it_was_made_for(about, what, when):
    transition = decide(about, what, when)
    assert (transition.job_id, transition.from_state, transition.claim_seq) == (about.id, about.state, about.claim_seq)


@for_all(running, outcomes, moments)
def test_running_job_goes_where_its_outcome_allows(about, what, when):
    transition = decide(about, what, when)
    if about.is_cancel_wished and what.kind not in (OutcomeKind.SUCCEEDED, OutcomeKind.EXPIRED):
        assert transition.state is State.CANCELLED, "no other attempt follows"
    else:
        assert transition.state in ALLOWED[what.kind]
    assert transition.changes_nothing == (what.kind is OutcomeKind.EXPIRED), "it has started"
    assert transition.continues == (transition.state is State.RUNNING and not transition.changes_nothing)


@for_all(final, outcomes, moments)
def test_final_state_never_changes(about, what, when):
    transition = decide(about, what, when)
    assert transition.changes_nothing
    assert (transition.attempt, transition.callbacks, transition.run_at) == (None, (), None)
    assert (transition.refunded, transition.losses) == (about.refunded, about.losses)


@for_all(waiting, outcomes, moments)
def test_waiting_job_changes_only_when_cancelled_or_too_late(about, what, when):
    transition = decide(about, what, when)
    assert transition.attempt is None, "it did not run"
    if what.kind is OutcomeKind.CANCELLED:
        assert transition.state is State.CANCELLED
    elif what.kind is OutcomeKind.EXPIRED:
        assert transition.state is State.FAILED
    else:
        assert transition.changes_nothing
        assert transition.callbacks == ()


@for_all(jobs(), outcomes, moments)
def test_end_is_set_exactly_when_the_job_comes_to_a_final_state(about, what, when):
    transition = decide(about, what, when)
    ends = transition.state.is_final and not about.state.is_final
    assert transition.ended_at == (when.now if ends else None)
    retention = about.plan.retention if ends else None
    assert transition.keep_until == (None if retention is None else when.now + round(retention * SECOND))


@for_all(jobs(), outcomes, moments)
def test_callback_is_owed_exactly_at_the_end_and_only_if_asked_for(about, what, when):
    transition = decide(about, what, when)
    ends = transition.state.is_final and not about.state.is_final
    plan_ = about.plan
    asked = plan_.callback_done is not None or (transition.state is State.FAILED and plan_.callback_failed is not None)
    owed = ends and asked and plan_.report is None
    assert len(transition.callbacks) == owed
    for row in transition.callbacks:
        delivered = decode_plan(row.payload)
        assert row.parent_id == about.id
        assert delivered.report is not None, "it can be told from a job of a client"
        assert delivered.report.state is transition.state
        assert delivered.callback_done is None
        assert delivered.callback_failed is None
        assert delivered.retry == CALLBACK_RETRY


@for_all(running, outcomes, moments)
def test_end_of_a_callback_owes_no_callback(about, what, when):
    callback = msgspec.structs.replace(about, plan=Plan(HTTP, callback_done=HTTP, callback_failed=EXEC, report=REPORT))
    assert decide(callback, what, when).callbacks == ()


@for_all(running, outcomes, moments)
def test_attempt_is_recorded_once_for_each_run(about, what, when):
    transition = decide(about, what, when)
    attempt = transition.attempt
    if what.kind in NO_ENDS and transition.state is State.RUNNING:
        assert attempt is None, "it goes on"
        return
    assert attempt is not None
    assert (attempt.job_id, attempt.claim_seq, attempt.number) == (about.id, about.claim_seq, about.attempt)
    assert (attempt.started_at, attempt.ended_at, attempt.node_id) == (when.started_at, when.now, about.node_id)
    assert (attempt.outcome, attempt.exit_code, attempt.output) == (what.kind, what.exit_code, what.output)
    assert (attempt.due_at, attempt.timings) == (about.due_at or None, what.timings)


@for_all(running, outcomes, moments)
def test_refund_and_loss_are_counted_for_what_is_not_the_jobs_doing(about, what, when):
    transition = decide(about, what, when)
    comes_back = not transition.state.is_final
    is_lost = what.kind is OutcomeKind.LEASE_EXPIRED and transition.state is not State.CANCELLED
    assert transition.refunded - about.refunded == (what.kind in NOT_COUNTED and comes_back)
    assert transition.losses - about.losses == is_lost
    assert 0 <= transition.refunded <= about.attempt


@for_all(jobs(), outcomes, moments)
def test_run_at_is_never_before_now(about, what, when):
    transition = decide(about, what, when)
    if transition.run_at is not None:
        assert transition.run_at >= when.now
        assert transition.state is first_state(transition.run_at, when.now)


def test_success_completes_without_a_reason():
    transition = decided(job(), SUCCEEDED, exit_code=200)
    assert (transition.state, transition.reason, transition.ended_at) == (State.COMPLETED, "", NOW)


def test_failure_of_a_job_with_one_attempt_says_only_what_failed():
    assert decided(job(), FAILED, error="HTTP 500").reason == "HTTP 500"
    assert decided(job(), TIMED_OUT).reason == "timed_out"


def test_failure_says_which_attempt_of_how_many():
    assert decided(job(plan=RETRYING), FAILED, error="HTTP 500").reason == "attempt 1 of 3 failed: HTTP 500"
    last = decided(job(plan=RETRYING, attempt=3, claim_seq=3), FAILED, error="HTTP 500")
    assert last.reason == "attempt 3 of 3, the last, failed: HTTP 500"


def test_retry_waits_as_its_setting_says():
    transition = decided(job(plan=RETRYING), FAILED)
    assert (transition.state, transition.run_at) == (State.SCHEDULED, NOW + 10 * SECOND)


def test_retry_without_delay_is_available_at_once():
    transition = decided(job(plan=plan(retry=Retry(max_attempts=2, backoff="none"))), FAILED)
    assert (transition.state, transition.run_at) == (State.AVAILABLE, NOW)


def test_refunded_attempts_leave_all_attempts_to_the_job():
    assert not decided(job(plan=RETRYING, attempt=12, claim_seq=12, refunded=10), FAILED).state.is_final


def test_first_two_losses_give_the_job_back():
    once, twice = decided(job(), OutcomeKind.LEASE_EXPIRED), decided(job(losses=1), OutcomeKind.LEASE_EXPIRED)
    assert (once.state, once.run_at, once.losses) == (State.AVAILABLE, NOW, 1)
    assert once.reason == "given back: its node died while it ran (once so far)"
    assert (twice.state, twice.losses) == (State.AVAILABLE, 2)
    assert "twice" in twice.reason


def test_third_loss_fails_the_job_and_says_so():
    transition = decided(job(losses=2, plan=plan(callback_failed=HTTP)), OutcomeKind.LEASE_EXPIRED, error="lost")
    assert (transition.state, transition.losses) == (State.FAILED, 3)
    assert transition.reason == "its node died three times while it ran"
    assert transition.attempt.error == transition.reason
    report = decode_plan(transition.callbacks[0].payload).report
    assert report.error == transition.reason


def test_loss_beyond_the_limit_fails_too():
    assert decided(job(losses=6), OutcomeKind.LEASE_EXPIRED).reason == "its node died 7 times while it ran"


def test_interruption_gives_the_job_back_with_its_reason():
    assert decided(job(), OutcomeKind.INTERRUPTED).reason == "interrupted: the server was stopped"
    assert decided(job(), OutcomeKind.INTERRUPTED, error="restart").reason == "restart"


@pytest.mark.parametrize("state", [*WAITING_STATES, State.RUNNING])
def test_cancelling_ends_a_job_that_has_not_ended(state):
    transition = decided(job(state), OutcomeKind.CANCELLED)
    assert (transition.state, transition.reason) == (State.CANCELLED, "cancelled on request")
    assert (transition.attempt is not None) == (state is State.RUNNING)


@pytest.mark.parametrize(
    ("wish", "delay"),
    [(None, 0), (0.0, 0), (2.5, 2_500_000), (-5.0, 0), (float("nan"), 0), (1e999, 31_622_400 * SECOND)],
)
def test_snooze_waits_as_long_as_it_was_asked_to_within_a_year(wish, delay):
    transition = decided(job(), OutcomeKind.SNOOZED, retry_after=wish)
    assert transition.run_at == NOW + delay
    assert (transition.refunded, transition.reason) == (1, "put off")


def test_decision_is_made_whatever_characters_an_error_has():
    """A file name that is no UTF-8 arrives with lone surrogates; JSON has no way to write them."""
    transition = decided(job(plan=plan(callback_done=HTTP)), FAILED, error="can't run \udcff\0")
    assert decode_plan(transition.callbacks[0].payload).report.error == "can't run ?\0"


def test_new_job_is_available_when_it_is_due():
    assert first_state(NOW, NOW) is State.AVAILABLE
    assert first_state(NOW - 1, NOW) is State.AVAILABLE
    assert first_state(NOW + 1, NOW) is State.SCHEDULED


def test_final_states_are_the_three_ends():
    assert {state for state in State if state.is_final} == {State.COMPLETED, State.FAILED, State.CANCELLED}
