"""Changing a job that exists: cancel, retry, run now, change, delete, and the reports of targets that go on with it."""

from collections.abc import Callable

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.domain import wishes
from queue_server.domain.errors import QueueServerError, WrongState
from queue_server.domain.job import CANCELLED, JobRecord
from queue_server.domain.lifecycle import next_sign_of_life
from queue_server.domain.outcome import Outcome
from queue_server.domain.revising import Patch
from queue_server.operations.add import defaults_of
from queue_server.operations.policy import Policy
from queue_server.store.contract import Amended, Rule, Store
from queue_server.telemetry.job_events import JobEvents


class Rules:
    """Wishes as rules for a store, with this server's defaults and policy."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._defaults = defaults_of(settings)
        self._policy = Policy(settings)
        self._clock = clock

    def cancel(self, reason: str) -> Rule:
        """See wishes.cancel."""
        return lambda record: wishes.cancel(record, reason or CANCELLED, self._clock.now())

    def retry(self, patch: Patch) -> Rule:
        """See wishes.retry. NotAllowed where a setting forbids the command now."""
        return lambda record: self._allowed(wishes.retry(record, patch, self._defaults, self._clock.now()))

    def revise(self, patch: Patch) -> Rule:
        """See wishes.revise. NotAllowed where a setting forbids the command now."""
        return lambda record: self._allowed(wishes.revise(record, patch, self._defaults, self._clock.now()))

    def run_now(self) -> Rule:
        """See wishes.run_now."""
        return lambda record: wishes.run_now(record, self._clock.now())

    def remove(self) -> Rule:
        """See wishes.remove."""
        return wishes.remove

    def _allowed(self, answer: wishes.Answer) -> wishes.Answer:
        if isinstance(answer, wishes.Revision):
            self._policy.check(answer.plan)
        return answer


class Manage:
    """What may be asked for one job.

    Each answers None where there is no such job; WrongState, with a sentence, where the job is not in a state for it.
    """

    def __init__(
        self, store: Store, rules: Rules, *, clock: Clock, chance: Callable[[], float], events: JobEvents
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._chance = chance
        self._events = events

    async def cancel(self, job_id: int, reason: str = "") -> JobRecord | None:
        """End a job that waits; have one that runs interrupted, which it is within a second."""
        return await self._ask(job_id, self._rules.cancel(reason))

    async def retry(self, job_id: int, patch: Patch) -> JobRecord | None:
        """Run a final job again, changed by the patch; InvalidJob if that is no good job."""
        return await self._ask(job_id, self._rules.retry(patch))

    async def revise(self, job_id: int, patch: Patch) -> JobRecord | None:
        """Change a job that waits; InvalidJob if the patch makes no good job of it."""
        return await self._ask(job_id, self._rules.revise(patch))

    async def run_now(self, job_id: int) -> JobRecord | None:
        """Make a scheduled job due."""
        return await self._ask(job_id, self._rules.run_now())

    async def delete(self, job_id: int) -> bool:
        """Delete a final job; whether there was one."""
        return bool(await self._amend(job_id, self._rules.remove()))

    async def heartbeat(
        self, job_id: int, claim_seq: int, *, seconds: float, message: str
    ) -> tuple[JobRecord, int] | None:
        """Take a sign of life of a running job's target: the job, and until when the next one has to come."""
        now = self._clock.now()
        job = await self._ask(job_id, lambda record: wishes.extend(record, claim_seq, seconds, message, now))
        if job is None:
            return None
        return job, job.overdue_at or next_sign_of_life(job.as_job(), seconds, now)

    async def report(self, job_id: int, claim_seq: int, outcome: Outcome) -> JobRecord | None:
        """Take the result of a running job from its target."""
        now, chance = self._clock.now(), self._chance()
        return await self._ask(job_id, lambda record: wishes.report(record, claim_seq, outcome, now=now, chance=chance))

    async def _ask(self, job_id: int, rule: Rule) -> JobRecord | None:
        return await self._store.get(job_id) if await self._amend(job_id, rule) else None

    async def _amend(self, job_id: int, rule: Rule) -> Amended | None:
        for amended in await self._store.amend((job_id,), rule):
            match amended.answer:
                case wishes.Refusal(why):
                    raise WrongState(why)
                case QueueServerError() as error:
                    raise error
                case _:
                    tell(self._events, amended)
                    return amended
        return None


def tell(events: JobEvents, amended: Amended) -> None:
    """Have everybody hear of a change that has been applied."""
    record = amended.record
    match amended.answer:
        case wishes.Transition() as change:
            events.ended(record.as_job(), change)
        case wishes.Removal():
            events.deleted(record)
        case wishes.Revision() as change:
            events.revised(record, change)
        case wishes.Extension() | wishes.CancelWish():
            events.updated(record)
        case _:
            pass
