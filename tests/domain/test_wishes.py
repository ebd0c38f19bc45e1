"""What a person or a program may ask of a job in each state, and what becomes of it."""

import msgspec
import pytest
from hypothesis import strategies as st

from queue_server.domain import wishes
from queue_server.domain.composing import Defaults
from queue_server.domain.job import JobRecord, decode_plan
from queue_server.domain.lifecycle import Moment, Transition, decide
from queue_server.domain.outcome import FAILED, SUCCEEDED, Outcome, OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.domain.revising import NO_PATCH, read_patch
from queue_server.domain.state import FINAL_STATES, WAITING_STATES, State
from queue_server.domain.wishes import Answer, CancelWish, Extension, Refusal, Removal, Revision
from tests.builders.jobs import EXEC, HTTP, NOW, SECOND, plan, record
from tests.builders.properties import for_all
from tests.builders.strategies import instants, plans

DEFAULTS = Defaults()
PATCH = read_patch(b'{"priority":9}')
RESULT = Outcome(SUCCEEDED, exit_code=0)
CONTINUED = "continued"
WISHED = "to be cancelled"
CONDITIONS = (*State, CONTINUED, WISHED)
"""All that makes a difference to a wish: the states, and two kinds of running jobs."""

WISHES = {
    "cancel": lambda record: wishes.cancel(record, "because", NOW),
    "run now": lambda record: wishes.run_now(record, NOW),
    "revise": lambda record: wishes.revise(record, PATCH, DEFAULTS, NOW),
    "retry": lambda record: wishes.retry(record, NO_PATCH, DEFAULTS, NOW),
    "remove": wishes.remove,
    "extend": lambda record: wishes.extend(record, record.claim_seq, 60.0, "half way", NOW),
    "report": lambda record: wishes.report(record, record.claim_seq, RESULT, now=NOW, chance=0.5),
}

ANSWERS = {
    "cancel": dict.fromkeys([*WAITING_STATES, CONTINUED], Transition)
    | {State.RUNNING: CancelWish, WISHED: None, State.CANCELLED: None}
    | dict.fromkeys([State.COMPLETED, State.FAILED], Refusal),
    "run now": dict.fromkeys(CONDITIONS, Refusal) | {State.SCHEDULED: Revision, State.AVAILABLE: None},
    "revise": dict.fromkeys(CONDITIONS, Refusal) | dict.fromkeys(WAITING_STATES, Revision),
    "retry": dict.fromkeys(CONDITIONS, Refusal) | dict.fromkeys(FINAL_STATES, Revision),
    "remove": dict.fromkeys(CONDITIONS, Refusal) | dict.fromkeys(FINAL_STATES, Removal),
    "extend": dict.fromkeys(CONDITIONS, Refusal) | {State.RUNNING: None, WISHED: None, CONTINUED: Extension},
    "report": dict.fromkeys(CONDITIONS, Refusal) | dict.fromkeys([State.RUNNING, WISHED, CONTINUED], Transition),
}
"""What each wish becomes in each condition: the kind of change, None where the job is as wished, or a refusal."""


def in_condition(condition: State | str, **members) -> JobRecord:
    """A job in this state or condition."""
    if condition == CONTINUED:
        return record(State.RUNNING, overdue_at=NOW + SECOND, **members)
    if condition == WISHED:
        return record(State.RUNNING, cancel_wished_at=NOW - 1, **members)
    return record(condition, **members)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("wish", WISHES)
def test_every_wish_has_its_answer_in_every_condition(wish, condition):
    about = in_condition(condition)
    answer = WISHES[wish](about)
    expected = ANSWERS[wish][condition]
    assert answer is None if expected is None else type(answer) is expected
    assert answer == WISHES[wish](about), "it is a pure function"
    if isinstance(answer, Refusal):
        assert answer.why.startswith("job 7 "), "it says which job it is about"
        assert len(answer.why) > len("job 7 is ") + 10, "and what to do"


@for_all(st.sampled_from(sorted(WISHES)), st.sampled_from(CONDITIONS), plans, instants, st.integers(0, 9))
def test_answer_is_for_the_job_as_it_is(wish, condition, plan_, first_started_at, more):
    """So that a store can fence it, and it does not undo what has happened to the job before."""
    about = in_condition(
        condition, plan=plan_, first_started_at=first_started_at, attempt=1 + more, claim_seq=2 + more, refunded=more
    )
    answer = WISHES[wish](about)
    match answer:
        case Transition() | Revision():
            assert (answer.job_id, answer.from_state, answer.claim_seq) == (7, about.state, about.claim_seq)
            assert answer.refunded >= about.refunded
        case Extension() | CancelWish():
            assert (answer.job_id, answer.claim_seq) == (7, about.claim_seq)
        case Removal():
            assert answer == Removal(7, about.state)
        case _:
            assert answer is None or isinstance(answer, Refusal)


# Cancel.


@pytest.mark.parametrize("state", WAITING_STATES)
def test_cancelled_job_that_waits_ends_with_the_reason_that_was_given(state):
    change = wishes.cancel(record(state, plan=plan(callback_done=HTTP)), "not needed", NOW)
    assert (change.state, change.ended_at, change.reason, change.attempt) == (State.CANCELLED, NOW, "not needed", None)
    assert decode_plan(change.callbacks[0].payload).report.error == "not needed"


def test_job_that_is_cancelled_for_no_reason_does_not_keep_that_for_which_it_waited():
    about = record(State.SCHEDULED, reason="attempt 1 of 3 failed: HTTP 500")
    assert wishes.cancel(about, "", NOW).reason == "cancelled on request"


def test_reason_of_a_wish_is_kept_until_the_job_is_cancelled():
    about = in_condition(WISHED, reason="not needed").as_job()
    assert (about.is_cancel_wished, about.cancel_reason) == (True, "not needed")
    change = decide(about, Outcome(FAILED, error="HTTP 500"), Moment(NOW, NOW))
    assert (change.state, change.reason, change.attempt.error) == (State.CANCELLED, "not needed", "HTTP 500")
    assert in_condition(WISHED).as_job().cancel_reason == "cancelled on request"


def test_cancelled_job_that_goes_on_at_its_target_ends_at_once():
    """Nothing runs here that could be interrupted; its target hears of it with its next heartbeat."""
    change = wishes.cancel(in_condition(CONTINUED), "not needed", NOW)
    assert (change.state, change.reason) == (State.CANCELLED, "not needed")
    attempt = change.attempt
    assert (attempt.started_at, attempt.ended_at, attempt.outcome) == (NOW - SECOND, NOW, OutcomeKind.CANCELLED)


def test_cancelled_job_that_runs_is_to_be_interrupted():
    assert wishes.cancel(record(State.RUNNING), "not needed", NOW) == CancelWish(7, 1, NOW, "not needed")


@pytest.mark.parametrize("state", WAITING_STATES)
def test_job_that_came_back_while_it_was_to_be_cancelled_can_only_be_cancelled(state):
    """Its end had been decided before the wish came: it waits for a moment, and must not run again."""
    about = record(state, cancel_wished_at=NOW - 1)
    assert wishes.cancel(about, "", NOW).state is State.CANCELLED
    assert wishes.revise(about, PATCH, DEFAULTS, NOW) == Refusal("job 7 is being cancelled")
    run_now = wishes.run_now(about, NOW)
    assert run_now is None if state is State.AVAILABLE else run_now == Refusal("job 7 is being cancelled")


# Signs of life and results.


def test_sign_of_life_moves_the_time_of_the_next_one():
    about = in_condition(CONTINUED, reason="as before")
    assert wishes.extend(about, 1, 60.0, "half way", NOW) == Extension(7, 1, NOW + 60 * SECOND, "half way")
    assert wishes.extend(about, 1, 60.0, "", NOW).reason == "as before"
    limited = in_condition(CONTINUED, plan=plan(deadline=NOW + 5))
    assert wishes.extend(limited, 1, 60.0, "", NOW).overdue_at == NOW + 5


def test_sign_of_life_does_not_save_a_job_that_is_about_to_be_cancelled():
    about = record(State.RUNNING, overdue_at=NOW - 1, cancel_wished_at=NOW - 1)
    assert wishes.extend(about, 1, 60.0, "", NOW) is None


@pytest.mark.parametrize("claim_seq", [0, 1, 3, 2**53])
def test_claim_that_does_not_own_the_job_is_told_to_stop(claim_seq):
    why = f"claim {claim_seq} no longer owns job 7, claim 2 does; stop working on it"
    for condition in (State.RUNNING, CONTINUED, WISHED):
        about = in_condition(condition, claim_seq=2, attempt=2)
        assert _told(about, claim_seq) == [Refusal(why)] * 2


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_target_of_a_job_that_does_not_run_any_more_is_told_to_stop(state):
    what = {State.CANCELLED: "has been cancelled", State.COMPLETED: "has completed", State.FAILED: "has failed"}
    why = f"job 7 {what.get(state, f'is {state}')}; stop working on it"
    assert _told(record(state, claim_seq=1), 1) == [Refusal(why)] * 2


def _told(about: JobRecord, claim_seq: int) -> list[Answer]:
    return [
        wishes.extend(about, claim_seq, 60.0, "", NOW),
        wishes.report(about, claim_seq, RESULT, now=NOW, chance=0.5),
    ]


@pytest.mark.parametrize("condition", [State.RUNNING, CONTINUED])
@pytest.mark.parametrize("kind", [SUCCEEDED, FAILED])
def test_result_is_decided_like_that_of_any_attempt(condition, kind):
    """Also where it comes before the target has answered: of the two ends the first one counts."""
    about = in_condition(condition, plan=plan(EXEC, retry=Retry(2), callback_done=HTTP))
    result = Outcome(kind, exit_code=5, error="why", retry_after=9.0)
    change = wishes.report(about, 1, result, now=NOW, chance=0.25)
    assert change == decide(about.as_job(), result, Moment(NOW, about.claimed_at, 0.25))
    assert change.attempt.started_at == about.claimed_at


def test_result_of_a_job_that_is_to_be_cancelled_counts_if_it_is_a_success():
    about = in_condition(WISHED)
    assert wishes.report(about, 1, RESULT, now=NOW, chance=0.5).state is State.COMPLETED
    assert wishes.report(about, 1, Outcome(FAILED), now=NOW, chance=0.5).state is State.CANCELLED


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_report_that_comes_a_second_time_is_as_good_as_the_first(state):
    """The answer to the first one may have been lost, and the job may wait for its next attempt by now."""
    about = record(state, claim_seq=3, outcome=FAILED)
    assert wishes.report(about, 3, Outcome(FAILED, error="again"), now=NOW, chance=0.5) is None
    assert isinstance(wishes.report(about, 3, RESULT, now=NOW, chance=0.5), Refusal), "it says something else"
    assert isinstance(wishes.report(about, 2, Outcome(FAILED), now=NOW, chance=0.5), Refusal), "of another attempt"
    again = record(State.RUNNING, claim_seq=4, attempt=4, outcome=FAILED)
    assert isinstance(wishes.report(again, 3, Outcome(FAILED), now=NOW, chance=0.5), Refusal), "it runs again"
    assert isinstance(wishes.report(again, 4, Outcome(FAILED), now=NOW, chance=0.5), Transition)


# The two faces of a job.


def test_record_is_the_job_that_decisions_are_made_of():
    about = record(
        State.RUNNING, attempt=3, claim_seq=4, refunded=1, losses=1, queue="q", key="k", run_at=NOW - 5, node_id=9
    )
    made = about.as_job()
    for name in set(made.__struct_fields__) & set(about.__struct_fields__):
        assert getattr(made, name) == getattr(about, name)
    assert (made.due_at, made.is_cancel_wished, made.may_have_placeholders) == (NOW - 5, False, True)
    assert msgspec.structs.replace(about, cancel_wished_at=NOW).as_job().is_cancel_wished


def test_record_of_a_job_that_never_ran_began_when_it_was_added():
    made = record().as_job()
    assert (made.claimed_at, made.first_started_at, made.node_id) == (NOW - 2 * SECOND, NOW - 2 * SECOND, 0)
    assert record(State.RUNNING, first_started_at=None).as_job().first_started_at == NOW - SECOND


def test_record_goes_on_past_its_request_exactly_when_it_runs_and_must_give_a_sign_of_life():
    assert in_condition(CONTINUED).is_continued
    assert not record(State.RUNNING).is_continued
    assert not record(State.AVAILABLE, overdue_at=NOW).is_continued
