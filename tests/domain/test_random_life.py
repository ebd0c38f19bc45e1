"""A job's life from its first attempt to its end, whatever happens to it on the way."""

from typing import NamedTuple

import msgspec
import pytest
from hypothesis import strategies as st

from queue_server.domain.job import Job
from queue_server.domain.lifecycle import MAX_LOSSES, Moment, Transition, decide, overdue
from queue_server.domain.outcome import FAILED, Outcome
from queue_server.domain.state import State
from tests.builders.jobs import NOW, job, outcome
from tests.builders.properties import for_all
from tests.builders.strategies import outcomes, plans, retries

ATTEMPTS = 5


class Life(NamedTuple):
    """All that was decided of a job, in its order, and the job as the last decision saw it."""

    job: Job
    transitions: list[Transition]


def live(about: Job, fates: list[Outcome]) -> Life:
    """Let the outcomes happen to a job, each to an attempt that it starts when it may; late ones find it overdue."""
    now, transitions = NOW, list[Transition]()
    for what in fates:
        transition = decide(about, what, Moment(now, now))
        if not transition.changes_nothing:
            transitions.append(transition)
        if transition.state.is_final:
            return Life(about, transitions)
        now = max(now, transition.run_at or now) + 1
        about = _after(about, transition)
        if transition.overdue_at is not None and transition.overdue_at <= now:
            transitions.append(decide(about, overdue(about, now), Moment(now, now)))
            if transitions[-1].state.is_final:
                return Life(about, transitions)
            now = max(now, transitions[-1].run_at or now) + 1
            about = _after(about, transitions[-1])
        about = _claimed(about, now)
    pytest.fail("it never ended")


def _after(about: Job, transition: Transition) -> Job:
    return msgspec.structs.replace(
        about, state=transition.state, refunded=transition.refunded, losses=transition.losses
    )


def _claimed(about: Job, now: int) -> Job:
    """The job when it runs, for which it is taken if it waits."""
    if about.state is State.RUNNING:
        return about
    return msgspec.structs.replace(
        about,
        state=State.RUNNING,
        claim_seq=about.claim_seq + 1,
        attempt=about.attempt + 1,
        claimed_at=now,
        first_started_at=about.first_started_at or now,
    )


@for_all(plans, st.lists(outcomes, max_size=40), retries, st.booleans())
def test_random_life_always_ends_and_says_why(plan_, fates, retry, is_cancel_wished):
    """Attempts that are given back for ever are the operator's doing; this life has a bounded number of them."""
    retry = msgspec.structs.replace(retry, max_attempts=ATTEMPTS)
    first = job(plan=msgspec.structs.replace(plan_, retry=retry), first_started_at=NOW)
    about, transitions = live(
        msgspec.structs.replace(first, is_cancel_wished=is_cancel_wished), [*fates, *[outcome(FAILED)] * ATTEMPTS]
    )
    *before, last = transitions
    assert all(one.reason for one in before), "a person can read why it waits or goes on"
    assert last.reason or last.state is State.COMPLETED
    assert not any(one.callbacks for one in before)
    assert len(last.callbacks) == _owes_callback(last, about)
    assert about.counted_attempts <= ATTEMPTS
    assert sum(one.attempt is not None for one in transitions) <= about.claim_seq
    assert last.losses <= MAX_LOSSES
    if is_cancel_wished:
        assert len(transitions) == 1


@for_all(plans, st.lists(outcomes, max_size=40), retries)
def test_no_attempt_starts_after_the_limits_of_a_job(plan_, fates, retry):
    first = job(plan=msgspec.structs.replace(plan_, retry=msgspec.structs.replace(retry, max_attempts=ATTEMPTS)))
    about, transitions = live(first, [*fates, *[outcome(FAILED)] * ATTEMPTS])
    deadline = about.plan.deadline
    for one in transitions:
        if one.state in (State.SCHEDULED, State.AVAILABLE):
            assert one.overdue_at == deadline, "a claim that comes later does not start it"
    if deadline is not None and deadline <= NOW:
        assert about.attempt == 1


def _owes_callback(last: Transition, about: Job) -> bool:
    plan = about.plan
    asked = plan.callback_done is not None or (last.state is State.FAILED and plan.callback_failed is not None)
    return asked and plan.report is None
