"""Why a job is where it is, and what happens next: one sentence with the facts that it rests on."""

from typing import assert_never

import msgspec

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.config.units import format_duration
from queue_server.domain.access import Access
from queue_server.domain.command import ExecCommand, HttpCommand, command_type
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import JobRecord
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.retry import ONCE, SECOND
from queue_server.domain.state import State
from queue_server.operations.look import Look, Status
from queue_server.operations.policy import Policy
from queue_server.store.contract import Store

AHEAD_LIMIT = 10_000
"""Jobs before a waiting one are counted so far; beyond that the number means nothing to anybody."""

Facts = dict[str, object]


class Explanation(msgspec.Struct, frozen=True):
    """The sentence, and the facts by name."""

    job: JobRecord
    sentence: str
    facts: Facts


class Explain:
    """Explains jobs."""

    def __init__(self, store: Store, look: Look, settings: Settings, policy: Policy, clock: Clock) -> None:
        self._store = store
        self._look = look
        self._settings = settings
        self._policy = policy
        self._clock = clock

    async def __call__(self, job_id: int, access: Access) -> Explanation | None:
        """Explain a job, or None if there is none. A bound access is not told how many others there are."""
        job = await self._look.job(job_id, access)
        if job is None:
            return None
        match job.state:
            case State.AVAILABLE:
                sentence, facts = await self._available(job, access)
            case State.SCHEDULED:
                sentence, facts = self._scheduled(job)
            case State.RUNNING:
                sentence, facts = self._running(job)
            case State.COMPLETED | State.FAILED | State.CANCELLED:
                sentence, facts = self._final(job)
            case _:
                assert_never(job.state)
        return Explanation(job, sentence, facts)

    async def _available(self, job: JobRecord, access: Access) -> tuple[str, Facts]:
        waited = _span(self._clock.now() - job.run_at)
        facts: Facts = {"due_for": waited}
        waits_for = "it starts when a job slot is free and its turn has come"
        if not access.is_bound:
            status, ahead = await self._look.status(access), await self._store.ahead(job, AHEAD_LIMIT)
            facts |= {"ahead": ahead, "slots": status.slots, "free_slots": status.free}
            waits_for = self._what_it_waits_for(job, status, ahead)
        if isinstance(job.plan.command, ExecCommand) and self._settings.exec == "off":
            waits_for = "commands are switched off (setting exec), so it will fail as soon as its turn comes"
        if refusal := self._policy.refusal(job.plan):
            waits_for = f"{refusal}, so it will fail as soon as its turn comes"
        return f"due for {waited}; {waits_for}{_limit(job)}", facts

    def _what_it_waits_for(self, job: JobRecord, status: Status, ahead: int) -> str:
        before = _before(ahead)
        if status.free == 0:
            return f"all {status.slots} job slots are taken and {before}; it starts when a slot is free for it"
        if isinstance(job.plan.command, ExecCommand):
            return f"{before}; it starts when one of the slots for commands (exec_concurrency) is free for it"
        return f"{before} and {status.free} of {status.slots} job slots are free, so it starts any moment"

    def _scheduled(self, job: JobRecord) -> tuple[str, Facts]:
        left = _span(job.run_at - self._clock.now())
        facts: Facts = {"run_at": rfc3339(job.run_at), "due_in": left, "attempt": job.attempt}
        due = f"it is due in {left}, at {rfc3339(job.run_at)}"
        if job.attempt and job.reason:
            return f"{job.reason}; {due}, for attempt {job.attempt + 1}{_limit(job)}", facts
        return f"put off by its delay or run_at: {due}{_limit(job)}", facts

    def _running(self, job: JobRecord) -> tuple[str, Facts]:
        started = job.claimed_at or job.created_at
        facts: Facts = {"attempt": job.attempt, "node_id": job.node_id, "started_at": rfc3339(started)}
        since = f"attempt {job.attempt} has been running for {_span(self._clock.now() - started)}"
        if job.cancel_wished_at is not None:
            return f"{since} and is being interrupted: {job.reason or 'cancelled on request'}", facts
        if job.overdue_at is not None:
            facts["heartbeat_until"] = rfc3339(job.overdue_at)
            return f"{since} at its target, which must give a sign of life by {rfc3339(job.overdue_at)}", facts
        ends_at = self._ends_at(job, started)
        facts["ends_at"] = rfc3339(ends_at)
        return f"{since} on node {job.node_id}; it is ended at {rfc3339(ends_at)} at the latest", facts

    def _ends_at(self, job: JobRecord, started: int) -> int:
        settings, command = self._settings, job.plan.command
        default = settings.http_timeout if isinstance(command, HttpCommand) else settings.exec_timeout
        timeout = command.timeout if isinstance(command, HttpCommand | ExecCommand) and command.timeout else default
        ends_at = started + round(timeout * SECOND)
        return ends_at if job.plan.deadline is None else min(ends_at, job.plan.deadline)

    def _final(self, job: JobRecord) -> tuple[str, Facts]:
        ended = job.ended_at or job.created_at
        goes_at = self._deleted_at(job, ended)
        attempts = (job.plan.retry or ONCE).max_attempts
        facts: Facts = {
            "ended_at": rfc3339(ended),
            "deleted_at": rfc3339(goes_at),
            "attempt": job.attempt,
            "max_attempts": attempts,
            "exit_code": job.exit_code,
        }
        told = [_how_it_ended(job)]
        if job.state is State.FAILED:
            told.append(f"run it again with: queue-server retry {job.id}")
        told.append(f"it is deleted after {rfc3339(goes_at)}")
        return "; ".join(told), facts

    def _deleted_at(self, job: JobRecord, ended: int) -> int:
        if job.keep_until is not None:
            return job.keep_until
        settings = self._settings
        kept = settings.retention_completed if job.state is State.COMPLETED else settings.retention_failed
        return ended + round(kept * SECOND)


def _how_it_ended(job: JobRecord) -> str:
    when = rfc3339(job.ended_at)
    if job.state is not State.COMPLETED:
        return f"{job.state} at {when}: {job.reason or job.error or 'no reason is known'}"
    ran = _span((job.ended_at or 0) - (job.claimed_at or 0))
    return f"completed at {when} with {_code(job)}, after {ran}, in attempt {job.attempt}"


def _code(job: JobRecord) -> str:
    if job.exit_code is None or job.outcome is not OutcomeKind.SUCCEEDED:
        return "success"
    is_http = isinstance(job.plan.command, HttpCommand) and command_type(job.plan.command) == "http"
    return f"{'HTTP status' if is_http else 'exit code'} {job.exit_code}"


def _before(ahead: int) -> str:
    match ahead:
        case 0:
            return "no job is before it"
        case 1:
            return "1 job is before it"
        case count if count >= AHEAD_LIMIT:
            return f"{AHEAD_LIMIT:,} jobs or more are before it"
        case count:
            return f"{count:,} jobs are before it"


def _limit(job: JobRecord) -> str:
    return "" if job.overdue_at is None else f"; if it has not started by {rfc3339(job.overdue_at)} it fails"


def _span(microseconds: int) -> str:
    """A length of time for people: two digits of what matters."""
    seconds = max(0, microseconds) / SECOND
    for limit, unit, name in ((86_400 * 2, 86_400, "days"), (7200, 3600, "hours"), (120, 60, "minutes")):
        if seconds >= limit:
            return f"{seconds / unit:.1f} {name}"
    return format_duration(round(seconds, 1 if seconds >= 1 else 3))
