"""The ways to the jobs of a filter: for each index that serves a part of it, its ranges and what is left to check.

Partial indexes serve a query only if their condition stands in it literally. Where a database has none, its indexes
have the same names and hold all jobs, and the condition is true of each that is found.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.contract import JobFilter, Order
from queue_server.store.search.dialect import JOBS, TAGS, Dialect
from queue_server.store.search.fragments import Fragment, all_of, any_of, compared, one_of

ENDS = (Order.ENDED_LAST, Order.ENDED_FIRST)

INDEXES = {
    "parent_id": ("job_parent", Fragment("job.parent_id is not null")),
    "key": ("job_key", Fragment("job.key is not null")),
    "type": ("job_exec", Fragment("job.type = 'exec'")),
    "queue": ("job_queue", Fragment("job.queue <> 'default'")),
    "context": ("job_context", Fragment("job.context <> 'default'")),
}
"""The partial indexes ordered by id, by member of the filter, each with its condition."""

NOT_INDEXED = (("type", "http"), ("queue", "default"), ("context", "default"))

BINDINGS = {"contexts": "context", "queues": "queue"}
"""The members that name several values, of which a job has one, and the member that names one."""

RANGES_LIMIT = 16
"""So many values of a binding are walked, each in its range. Jobs are checked for more."""

TAG = "tag."

HAS_TAG = "(select count(*) from tag as other where other.name = ? and other.value = ? and other.job_id = job.id) = 1"
"""Looked up for each job. Of `exists` some databases would make a join, and read all jobs that have the tag."""

Checks = Mapping[str, Fragment]
"""What has to be true of a job, by the name of the filter's member, `created` and `ended` for times."""


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """Ranges of an index, which have no job in common, and what has to be checked of each job there.

    `index` is its name, JOBS or TAGS for a primary key, and `jobs` joins the jobs where it is not theirs. Where it is
    not in the list's order, the jobs have to be gathered and sorted. `first` is its first column, if that has the same
    value in a whole range and the id follows. `cost` is how many rows may have to be looked at to check a job: its own,
    and one for each tag.
    """

    index: str
    ranges: tuple[Fragment, ...]
    checks: tuple[Fragment, ...]
    id: str = "job.id"
    jobs: str = ""
    first: str | None = None
    is_in_order: bool = True
    cost: int = 1


def walks_of(wanted: JobFilter, order: Order, dialect: Dialect) -> list[Walk]:
    """The ways to those jobs of a filter that a list in this order shows; none if it can't show any.

    The first is in the list's order, unless the filter names ids: then there is only one, which is not.
    """
    states = _states(wanted, order)
    if not states or () in (wanted.ids, wanted.contexts, wanted.queues):
        return []
    checks = _checks(wanted, states)
    if wanted.ids is not None:
        return [_among(wanted.ids, checks, dialect)]
    by_id = [
        *_by_member(wanted, checks, dialect),
        *_by_binding(wanted, checks, dialect),
        *_by_tag(wanted, checks, dialect),
    ]
    if order in ENDS:
        first = [_by_end(states, checks)]
    elif order is Order.DUE:
        first = [_by_due_time(checks)]
    else:
        in_order = [*by_id, *_by_state(states, checks, dialect)] or [_by_nothing(checks)]
        return [*in_order, *map(_gathered, _by_time(states, checks))]
    return [*first, *map(_gathered, (*by_id, *_by_creation(checks)))]


def _states(wanted: JobFilter, order: Order) -> tuple[State, ...]:
    """The states of the filter that a list in this order shows."""
    shown = FINAL_STATES if order in ENDS else (State.SCHEDULED,) if order is Order.DUE else tuple(State)
    return tuple(state for state in shown if not wanted.states or state in wanted.states)


def _checks(wanted: JobFilter, states: tuple[State, ...]) -> Checks:
    given = {name: getattr(wanted, name) for name in INDEXES}
    checks = {name: compared(f"job.{name}", "=", value) for name, value in given.items() if value is not None}
    for name, member in BINDINGS.items():
        if (values := getattr(wanted, name)) is not None:
            checks[name] = one_of(f"job.{member}", values)
    if len(states) < len(State):
        checks["state"] = any_of(compared("job.state", "=", state) for state in states)
    for name, value in wanted.tags.items():
        checks[TAG + name] = Fragment(HAS_TAG, (name, value))
    for name, after, before in (
        ("created", wanted.created_after, wanted.created_before),
        ("ended", wanted.ended_after, wanted.ended_before),
    ):
        limits = ((">=", after), ("<", before))
        found = [compared(f"job.{name}_at", comparison, time) for comparison, time in limits if time is not None]
        checks |= {name: all_of(found)} if found else {}
    return checks


def _among(ids: Sequence[int], checks: Checks, dialect: Dialect) -> Walk:
    """From id to id, not between the least and the greatest one."""
    walk = _walk(JOBS, [dialect.among("job.id", ids)], checks)
    return msgspec.structs.replace(walk, id=dialect.unranged("job.id"), is_in_order=False)


def _by_member(wanted: JobFilter, checks: Checks, dialect: Dialect) -> Iterator[Walk]:
    for name in INDEXES:
        if name in checks and (name, value := getattr(wanted, name)) not in NOT_INDEXED:
            yield _by_values(name, [value], checks, name, dialect)


def _by_binding(wanted: JobFilter, checks: Checks, dialect: Dialect) -> Iterator[Walk]:
    for name, member in BINDINGS.items():
        values: tuple[str, ...] = getattr(wanted, name) or ()
        if 0 < len(values) <= RANGES_LIMIT and not any((member, value) in NOT_INDEXED for value in values):
            yield _by_values(member, dict.fromkeys(values), checks, name, dialect)


def _by_values(member: str, values: Iterable[str | int], checks: Checks, served: str, dialect: Dialect) -> Walk:
    index, condition = INDEXES[member]
    column = f"job.{member}"
    ranges = [all_of((dialect.equal(column, value), condition)) for value in values]
    return msgspec.structs.replace(_walk(index, ranges, checks, served), first=column)


def _by_tag(wanted: JobFilter, checks: Checks, dialect: Dialect) -> Iterator[Walk]:
    jobs = f" {dialect.join} job on job.id = tag.job_id"
    for name, value in wanted.tags.items():
        range_ = all_of((dialect.equal("tag.name", name), compared("tag.value", "=", value)))
        walk = _walk(TAGS, [range_], checks, TAG + name)
        yield msgspec.structs.replace(walk, id="tag.job_id", jobs=jobs, first="tag.name")


def _by_state(states: Iterable[State], checks: Checks, dialect: Dialect) -> Iterator[Walk]:
    if "state" in checks:
        ranges = [dialect.equal("job.state", state) for state in states]
        yield msgspec.structs.replace(_walk("job_state", ranges, checks, "state"), first="job.state")


def _by_nothing(checks: Checks) -> Walk:
    return _walk(JOBS, [Fragment("true")], checks)


def _by_due_time(checks: Checks) -> Walk:
    return _walk("job_due", [Fragment("job.state = 'scheduled'")], checks, "state")


def _by_end(states: Iterable[State], checks: Checks, *limits: Fragment) -> Walk:
    """The walk on ended jobs. The times of their end are `limits`, or those of the span where that is in this order."""
    index = Fragment("job.ended_at is not null")
    ranges = [all_of((compared("job.state", "=", state), index, *limits)) for state in states]
    return _walk("job_ended", ranges, checks, "state", "ended")


def _by_time(states: Iterable[State], checks: Checks) -> Iterator[Walk]:
    """Walks on what happened in a time. A job that has not ended is not among those that ended then."""
    yield from _by_creation(checks)
    ended = [state for state in states if state.is_final]
    if "ended" in checks and ended:
        yield _by_end(ended, checks, checks["ended"])


def _by_creation(checks: Checks) -> Iterator[Walk]:
    if "created" in checks:
        yield _walk("job_created", [checks["created"]], checks, "created")


def _gathered(walk: Walk) -> Walk:
    return msgspec.structs.replace(walk, is_in_order=False, first=None)


def _walk(index: str, ranges: Iterable[Fragment], checks: Checks, *served: str) -> Walk:
    left = {name: check for name, check in checks.items() if name not in served}
    cost = 1 + sum(name.startswith(TAG) for name in left)
    return Walk(index=index, ranges=tuple(ranges), checks=tuple(left.values()), cost=cost)
