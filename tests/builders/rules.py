"""Wishes as rules for a store, at the moment at which tests happen."""

from queue_server.domain import wishes
from queue_server.domain.composing import Defaults
from queue_server.domain.job import JobRecord
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.domain.revising import read_patch
from queue_server.domain.wishes import Answer
from queue_server.store.contract import Rule
from tests.builders.jobs import NOW


def cancelling(reason: str = "because", *, now: int = NOW) -> Rule:
    """Cancel a job."""
    return lambda record: wishes.cancel(record, reason, now)


def revising(patch: bytes, *, now: int = NOW) -> Rule:
    """Change a job."""
    return lambda record: wishes.revise(record, read_patch(patch), Defaults(), now)


def retrying(patch: bytes = b"", *, now: int = NOW) -> Rule:
    """Run a job again."""
    return lambda record: wishes.retry(record, read_patch(patch), Defaults(), now)


def running_now(record: JobRecord) -> Answer:
    """Run a job now."""
    return wishes.run_now(record, NOW)


def removing(record: JobRecord) -> Answer:
    """Delete a job."""
    return wishes.remove(record)


def extending(claim_seq: int, seconds: float = 60.0, message: str = "", *, now: int = NOW) -> Rule:
    """Take a sign of life of a job's target."""
    return lambda record: wishes.extend(record, claim_seq, seconds, message, now)


def reporting(claim_seq: int, kind: OutcomeKind = OutcomeKind.SUCCEEDED, *, now: int = NOW, **members: object) -> Rule:
    """Take the result of a job from its target; `members` are the outcome's."""
    return lambda record: wishes.report(record, claim_seq, Outcome(kind, **members), now=now, chance=0.5)
