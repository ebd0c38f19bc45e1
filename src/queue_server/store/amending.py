"""Asking a rule what becomes of a job, and counting what it changes: the same in every store."""

from collections.abc import Iterable

from queue_server.domain.errors import QueueServerError
from queue_server.domain.job import JobRecord
from queue_server.domain.wishes import Refusal
from queue_server.store.contract import Amended, Rule


def answered(rule: Rule, record: JobRecord) -> Amended:
    """What the rule makes of a job. A QueueServerError that it raises is its answer."""
    try:
        return Amended(record, rule(record))
    except QueueServerError as error:
        return Amended(record, error)


def count_changed(amended: Iterable[Amended]) -> int:
    """How many jobs an operation has done. All others it has skipped."""
    return sum(not isinstance(one.answer, Refusal | QueueServerError | None) for one in amended)
