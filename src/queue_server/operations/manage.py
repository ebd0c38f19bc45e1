"""Changing a job that exists: cancel, retry, run now, change, delete, and the reports of targets that go on with it."""

from collections.abc import Callable

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.domain import wishes
from queue_server.domain.access import Access
from queue_server.domain.errors import QueueServerError, WrongState
from queue_server.domain.job import CANCELLED, JobRecord
from queue_server.domain.lifecycle import next_sign_of_life
from queue_server.domain.outcome import Outcome
from queue_server.domain.revising import Patch, changes_commands, read_patch
from queue_server.domain.secret import Sealer
from queue_server.operations.add import defaults_of
from queue_server.operations.binding import bound, check_changes
from queue_server.operations.policy import Policy
from queue_server.store.contract import Amended, Rule, Store
from queue_server.telemetry.job_events import JobEvents

CHANGES = "changes"
"""What the patch of an operation is sealed for."""


class Rules:
    """Wishes as rules for a store, with this server's defaults and policy, and bound to what who asks may do."""

    def __init__(self, settings: Settings, policy: Policy, clock: Clock, sealer: Sealer) -> None:
        self._defaults = defaults_of(settings, sealer)
        self._policy = policy
        self._clock = clock

    def cancel(self, reason: str, access: Access) -> Rule:
        """See wishes.cancel."""
        return bound(lambda record: wishes.cancel(record, reason or CANCELLED, self._clock.now()), access)

    def retry(self, patch: Patch, access: Access) -> Rule:
        """See wishes.retry. NotAllowed where a setting forbids the command now."""
        defaults, token_id = self._defaults, access.token_id
        return bound(
            lambda record: self._allowed(wishes.retry(record, patch, defaults, self._clock.now(), token_id=token_id)),
            access,
        )

    def revise(self, patch: Patch, access: Access) -> Rule:
        """See wishes.revise. NotAllowed where a setting forbids the command now."""
        defaults, token_id = self._defaults, access.token_id
        return bound(
            lambda record: self._allowed(wishes.revise(record, patch, defaults, self._clock.now(), token_id=token_id)),
            access,
        )

    def run_now(self, access: Access) -> Rule:
        """See wishes.run_now."""
        return bound(lambda record: wishes.run_now(record, self._clock.now()), access)

    def remove(self, access: Access) -> Rule:
        """See wishes.remove."""
        return bound(wishes.remove, access)

    def check_changes(self, patch: Patch, access: Access) -> None:
        """NotAllowed where this patch is allowed for no job."""
        check_changes(patch.members, access, self._defaults)

    def stored_changes(self, changes: bytes) -> str:
        """A patch as it may be stored: sealed as a whole where it may hold secrets."""
        text = changes.decode()
        return self._defaults.sealer.seal(text, CHANGES) if changes_commands(read_patch(changes)) else text

    def changes_of(self, stored: str) -> Patch:
        """The patch that was stored; SecretUnavailable if the key that sealed it is not there."""
        text = stored if stored.startswith("{") else self._defaults.sealer.open(stored, CHANGES)
        return read_patch(text.encode())

    def _allowed(self, answer: wishes.Answer) -> wishes.Answer:
        if isinstance(answer, wishes.Revision):
            self._policy.check(answer.plan, answer.plan.token_id)
        return answer


class Manage:
    """What may be asked for one job.

    Each answers None where there is no such job that the access sees; WrongState, with a sentence, where the job is not
    in a state for it.
    """

    def __init__(
        self, store: Store, rules: Rules, *, clock: Clock, chance: Callable[[], float], events: JobEvents
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._chance = chance
        self._events = events

    async def cancel(self, job_id: int, access: Access, reason: str = "") -> JobRecord | None:
        """End a job that waits; have one that runs interrupted, which it is within a second."""
        return await self._ask(job_id, self._rules.cancel(reason, access), access)

    async def retry(self, job_id: int, access: Access, patch: Patch) -> JobRecord | None:
        """Run a final job again, changed by the patch; InvalidJob if that is no good job."""
        return await self._ask(job_id, self._rules.retry(patch, access), access)

    async def revise(self, job_id: int, access: Access, patch: Patch) -> JobRecord | None:
        """Change a job that waits; InvalidJob if the patch makes no good job of it."""
        return await self._ask(job_id, self._rules.revise(patch, access), access)

    async def run_now(self, job_id: int, access: Access) -> JobRecord | None:
        """Make a scheduled job due."""
        return await self._ask(job_id, self._rules.run_now(access), access)

    async def delete(self, job_id: int, access: Access) -> bool:
        """Delete a final job; whether there was one."""
        return bool(await self._amend(job_id, self._rules.remove(access), access))

    async def heartbeat(
        self, job_id: int, access: Access, claim_seq: int, *, seconds: float, message: str
    ) -> tuple[JobRecord, int] | None:
        """Take a sign of life of a running job's target: the job, and until when the next one has to come."""
        now = self._clock.now()
        rule = bound(lambda record: wishes.extend(record, claim_seq, seconds, message, now), access)
        job = await self._ask(job_id, rule, access)
        if job is None:
            return None
        return job, job.overdue_at or next_sign_of_life(job.as_job(), seconds, now)

    async def report(self, job_id: int, access: Access, claim_seq: int, outcome: Outcome) -> JobRecord | None:
        """Take the result of a running job from its target."""
        now, chance = self._clock.now(), self._chance()
        rule = bound(lambda record: wishes.report(record, claim_seq, outcome, now=now, chance=chance), access)
        return await self._ask(job_id, rule, access)

    async def _ask(self, job_id: int, rule: Rule, access: Access) -> JobRecord | None:
        if not await self._amend(job_id, rule, access):
            return None
        job = await self._store.get(job_id)
        return job if job is not None and access.sees(job.context, job.queue) else None

    async def _amend(self, job_id: int, rule: Rule, access: Access) -> Amended | None:
        for amended in await self._store.amend((job_id,), rule):
            if not access.sees(amended.record.context, amended.record.queue):
                return None
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
