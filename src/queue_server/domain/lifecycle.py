"""The one place that knows what comes next.

`decide` is a pure function from a job and the outcome of its attempt (or of the wish to cancel it) to a transition.
The table below names, for every state and outcome, the one rule that applies:

- a running job's outcome ends it, brings it back, plans its next attempt, or lets it go on at its target;
- a waiting job can only be cancelled, or expire;
- anything else (a final job, an outcome of an attempt that is no longer the job's) changes nothing.

Stores apply transitions, fenced by (id, from_state, claim_seq), and decide nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from queue_server.domain.callback import callbacks_owed
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import Attempt, Job, NewJob
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.domain.retry import ONCE, SECOND, YEAR_S, Retry, delay_after, is_worth_retrying
from queue_server.domain.state import State

MAX_LOSSES = 3
"""A job whose node died this often while it ran has probably killed it: it ends as failed."""


class Transition(msgspec.Struct, frozen=True):
    """What becomes of a job. `reason` is a sentence for people, empty where the state says it all.

    `run_at` is when it may run (next), `ended_at` is set in final states only. `attempt` is the record of the run
    that ended, if one did. `callbacks` are added in the transaction that applies the transition. `overdue_at` is when a
    waiting job ends as failed unless it has started, or when one that `continues` must have given a sign of life.
    `keep_until` is set for a final job that has its own retention.
    """

    job_id: int
    from_state: State
    claim_seq: int
    state: State
    run_at: int | None = None
    ended_at: int | None = None
    refunded: int = 0
    losses: int = 0
    reason: str = ""
    attempt: Attempt | None = None
    callbacks: tuple[NewJob, ...] = ()
    overdue_at: int | None = None
    keep_until: int | None = None

    @property
    def continues(self) -> bool:
        """Whether the job goes on running, past the request that started it."""
        return self.state is State.RUNNING and self.overdue_at is not None

    @property
    def changes_nothing(self) -> bool:
        """Whether this is the answer to an outcome that does not apply (any more)."""
        return self.state is self.from_state and not self.continues


class Moment(msgspec.Struct, frozen=True):
    """When a decision is made: the time in µs, when the attempt started, and a chance in [0, 1) for jitter."""

    now: int
    started_at: int
    chance: float = 0.5


def decide(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """What becomes of `job` after `outcome`. Total: every state and outcome has exactly one answer."""
    return TABLE[job.state, outcome.kind](job, outcome, moment)


def first_state(run_at: int, now: int) -> State:
    """The state of a new job that may run at `run_at`."""
    return State.SCHEDULED if run_at > now else State.AVAILABLE


def keep(job: Job, _outcome: Outcome, _moment: Moment) -> Transition:
    """Change nothing."""
    return Transition(job.id, job.state, job.claim_seq, job.state, None, None, job.refunded, job.losses)


def complete(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """End well."""
    return _end(job, State.COMPLETED, outcome, moment, "")


def retry_or_fail(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """Plan the next attempt while the retry setting has one left and its limits allow it; else end as failed."""
    if job.is_cancel_wished:
        return cancel(job, outcome, moment)
    retry = job.plan.retry or ONCE
    counted = job.counted_attempts
    if counted >= retry.max_attempts:
        return _end(job, State.FAILED, outcome, moment, _failure(outcome, counted, retry.max_attempts))
    run_at = moment.now + delay_after(retry, counted, retry_after=outcome.retry_after, chance=moment.chance)
    reason = f"attempt {counted} of {retry.max_attempts} failed: {outcome.error or outcome.kind}"
    if obstacle := _obstacle(job, retry, outcome, run_at):
        return _end(job, State.FAILED, outcome, moment, f"{reason}; not tried again: {obstacle}")
    return _wait(job, outcome, moment, run_at=run_at, reason=reason)


def cancel(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """End as cancelled, whether it ran or waited."""
    is_wish = outcome.kind is OutcomeKind.CANCELLED
    reason = outcome.error if is_wish and outcome.error else job.cancel_reason
    return _end(job, State.CANCELLED, outcome, moment, reason)


def give_back(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """Make it available again; the attempt does not count, as its end was not the job's doing."""
    if job.is_cancel_wished:
        return cancel(job, outcome, moment)
    reason = outcome.error or "interrupted: the server was stopped"
    return _wait(job, outcome, moment, run_at=moment.now, reason=reason, refunded=1)


def rescue(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """Give back a job whose node is gone, until it has taken MAX_LOSSES nodes with it."""
    if job.is_cancel_wished:
        return cancel(job, outcome, moment)
    losses = job.losses + 1
    if losses >= MAX_LOSSES:
        reason = f"its node died {_times(losses)} while it ran"
        ended = msgspec.structs.replace(outcome, error=reason)
        return _end(job, State.FAILED, ended, moment, reason, losses=1)
    reason = f"given back: its node died while it ran ({_times(losses)} so far)"
    return _wait(job, outcome, moment, run_at=moment.now, reason=reason, refunded=1, losses=1)


def snooze(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """Put it off for `retry_after` seconds, at most a year; the attempt does not count."""
    if job.is_cancel_wished:
        return cancel(job, outcome, moment)
    delay = min(max(0.0, outcome.retry_after or 0.0), YEAR_S)
    run_at = moment.now + round(delay * SECOND)
    return _wait(job, outcome, moment, run_at=run_at, reason=outcome.error or "put off", refunded=1)


def expire(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """End as failed because it has not started in time."""
    plan = job.plan
    if plan.deadline is not None and (plan.expires_at is None or plan.deadline <= moment.now):
        reason = f"its deadline, {rfc3339(plan.deadline)}, passed while it waited"
    elif plan.expires_at is not None:
        reason = f"not started by its expires_at, {rfc3339(plan.expires_at)}"
    else:  # its plan can't be read any more
        reason = "not started in time"
    return _end(job, State.FAILED, msgspec.structs.replace(outcome, error=reason), moment, reason)


def go_on(job: Job, outcome: Outcome, moment: Moment) -> Transition:
    """Keep it running past its request, until its target reports the result or gives no more sign of life."""
    if job.is_cancel_wished:
        return cancel(job, outcome, moment)
    return Transition(
        job_id=job.id,
        from_state=job.state,
        claim_seq=job.claim_seq,
        state=State.RUNNING,
        refunded=job.refunded,
        losses=job.losses,
        reason="goes on at its target, which reports the result",
        overdue_at=next_sign_of_life(job, outcome.heartbeat, moment.now),
    )


def next_sign_of_life(job: Job, heartbeat_s: float, now: int) -> int:
    """When a job that goes on past its request must have been heard of again: within a year, and by its deadline."""
    lapse = now + round(min(max(0.0, heartbeat_s), YEAR_S) * SECOND)
    return lapse if job.plan.deadline is None else min(lapse, job.plan.deadline)


def overdue(job: Job, now: int) -> Outcome:
    """The outcome of a job whose `overdue_at` has passed: a waiting one expires, a running one has fallen silent.

    One that somebody wants cancelled is: the wish came when the end of its attempt had already been decided.
    """
    if job.is_cancel_wished:
        return Outcome(OutcomeKind.CANCELLED)
    if job.state is not State.RUNNING:
        return Outcome(OutcomeKind.EXPIRED)
    if job.plan.deadline is not None and job.plan.deadline <= now:
        return Outcome(OutcomeKind.TIMED_OUT, error=f"its deadline, {rfc3339(job.plan.deadline)}, passed")
    return Outcome(OutcomeKind.TIMED_OUT, error="no heartbeat came in time from its target")


Rule = Callable[[Job, Outcome, Moment], Transition]

_RUNNING: Final[Mapping[OutcomeKind, Rule]] = {
    OutcomeKind.SUCCEEDED: complete,
    OutcomeKind.FAILED: retry_or_fail,
    OutcomeKind.TIMED_OUT: retry_or_fail,
    OutcomeKind.CANCELLED: cancel,
    OutcomeKind.INTERRUPTED: give_back,
    OutcomeKind.LEASE_EXPIRED: rescue,
    OutcomeKind.SNOOZED: snooze,
    OutcomeKind.EXPIRED: keep,
    OutcomeKind.CONTINUED: go_on,
}
_WAITING: Final[Mapping[OutcomeKind, Rule]] = dict.fromkeys(OutcomeKind, keep) | {
    OutcomeKind.CANCELLED: cancel,
    OutcomeKind.EXPIRED: expire,
}
_FINAL: Final[Mapping[OutcomeKind, Rule]] = dict.fromkeys(OutcomeKind, keep)
_RULES: Final[Mapping[State, Mapping[OutcomeKind, Rule]]] = {
    State.SCHEDULED: _WAITING,
    State.AVAILABLE: _WAITING,
    State.RUNNING: _RUNNING,
    State.COMPLETED: _FINAL,
    State.FAILED: _FINAL,
    State.CANCELLED: _FINAL,
}

TABLE: Final[Mapping[tuple[State, OutcomeKind], Rule]] = {
    (state, kind): rule for state, rules in _RULES.items() for kind, rule in rules.items()
}


def _end(job: Job, state: State, outcome: Outcome, moment: Moment, reason: str, *, losses: int = 0) -> Transition:
    retention = job.plan.retention
    return Transition(
        job_id=job.id,
        from_state=job.state,
        claim_seq=job.claim_seq,
        state=state,
        ended_at=moment.now,
        refunded=job.refunded,
        losses=job.losses + losses,
        reason=reason,
        attempt=_record(job, outcome, moment),
        callbacks=tuple(callbacks_owed(job, state, outcome, now=moment.now)),
        keep_until=None if retention is None else moment.now + round(retention * SECOND),
    )


def _wait(
    job: Job,
    outcome: Outcome,
    moment: Moment,
    *,
    run_at: int,
    reason: str,
    refunded: int = 0,
    losses: int = 0,
) -> Transition:
    return Transition(
        job_id=job.id,
        from_state=job.state,
        claim_seq=job.claim_seq,
        state=first_state(run_at, moment.now),
        run_at=run_at,
        refunded=job.refunded + refunded,
        losses=job.losses + losses,
        reason=reason,
        attempt=_record(job, outcome, moment),
        overdue_at=job.plan.deadline,
    )


def _obstacle(job: Job, retry: Retry, outcome: Outcome, run_at: int) -> str:
    """Why a failed job that has attempts left is not tried again at `run_at`; empty if it is."""
    if outcome.kind is OutcomeKind.FAILED and not is_worth_retrying(retry, outcome.exit_code):
        return f"{outcome.exit_code} is not in retry_on ({retry.retry_on})"
    if retry.max_duration is not None and run_at > job.first_started_at + round(retry.max_duration * SECOND):
        return f"max_duration ({retry.max_duration:g} s since the first attempt) would be over"
    if job.plan.deadline is not None and run_at >= job.plan.deadline:
        return f"its deadline, {rfc3339(job.plan.deadline)}, comes first"
    return ""


def _record(job: Job, outcome: Outcome, moment: Moment) -> Attempt | None:
    """The run that ended; a job that was cancelled while it waited had none."""
    if job.state is not State.RUNNING:
        return None
    return Attempt(
        job.id,
        job.claim_seq,
        job.attempt,
        job.node_id,
        moment.started_at,
        moment.now,
        outcome.kind,
        outcome.exit_code,
        outcome.signal,
        outcome.error,
        outcome.output,
        job.due_at or None,
        outcome.timings,
    )


def _failure(outcome: Outcome, counted: int, allowed: int) -> str:
    what = outcome.error or str(outcome.kind)
    return what if allowed == 1 else f"attempt {counted} of {allowed}, the last, failed: {what}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice", 3: "three times"}.get(count, f"{count} times")
