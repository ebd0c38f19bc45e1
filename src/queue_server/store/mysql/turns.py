"""Ending jobs and claiming jobs, inside one transaction."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs

from queue_server.domain.command import ExecCommand
from queue_server.domain.job import PRIORITY_MAX, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.store.contract import NOTHING_CLAIMED, Claim, Claimed, Turn
from queue_server.store.front import BEGINNING, Front, Place
from queue_server.store.limits import CLAIM_LIMIT, PROMOTE_PAGE
from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.inserting import insert_jobs
from queue_server.store.mysql.transaction import Transaction
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import (
    ClaimRow,
    attempt_row,
    claim_order,
    job_of_claim,
    storable,
    unclaimed,
    within_bytes,
)


class Standing(msgspec.Struct, frozen=True):
    """What a transition of a job has to fit, and what it does not change. `wish` says why it is to be cancelled."""

    id: int
    state: State
    claim_seq: int
    run_at: int
    node_id: int | None
    cancel_wished_at: int | None
    wish: str | None

    def fits(self, change: Transition) -> bool:
        """The fence. One that changes nothing does not apply: it must not wipe what is known of the job's end."""
        is_meant = change.from_state is self.state and change.claim_seq == self.claim_seq
        return is_meant and not change.changes_nothing


Work = Callable[[Transaction], Awaitable[Turn]]


class Turns:
    """The turns of a store. `write` does work in a transaction."""

    def __init__(self, write: Callable[[Work], Awaitable[Turn]], front: Front) -> None:
        self._write = write
        self._front = front

    async def take(self, transitions: Sequence[Transition], wish: Claim | None) -> Turn:
        """See Store.turn."""
        turn = await self._write(lambda transaction: self._exchange(transaction, transitions, wish))
        self._note(transitions, [job for _, job in turn.callbacks])
        if wish is not None:
            self._front.took(_last(turn.claimed))
        return turn

    async def _exchange(self, transaction: Transaction, transitions: Sequence[Transition], wish: Claim | None) -> Turn:
        flags = await finish(transaction, transitions) if transitions else ()
        self._note(transitions, [job for _, job in transaction.callbacks])
        claimed = NOTHING_CLAIMED if wish is None else await claim(transaction, wish, self._front)
        return Turn(flags, claimed, transaction.callbacks)

    def _note(self, transitions: Sequence[Transition], callbacks: Sequence[NewJob]) -> None:
        """Have the front know of jobs that may be claimed: before the claim beside them, and when others see them."""
        if any(change.state is State.AVAILABLE for change in transitions):
            self._front.forget()
        self._front.came(callbacks)


async def finish(transaction: Transaction, transitions: Sequence[Transition]) -> list[bool]:
    """Apply the transitions whose fence holds, with their attempts and callbacks; says of each whether it did."""
    standings = await _lock(transaction, {change.job_id for change in transitions})
    flags, rows = settle(standings, transitions)
    if rows:
        await transaction.run("finish", listed(rows))
    await _record(transaction, [change for change, applied in zip(transitions, flags, strict=True) if applied])
    return flags


def settle(standings: Mapping[int, Standing], transitions: Iterable[Transition]) -> tuple[list[bool], list[Row]]:
    """Which transitions apply, each after those before it, and how each job's row is in the end."""
    now = dict(standings)
    rows: dict[int, Row] = {}
    flags: list[bool] = []
    for change in transitions:
        standing = now.get(change.job_id)
        applies = standing is not None and standing.fits(change)
        flags.append(applies)
        if standing is not None and applies:
            rows[change.job_id] = _finished(standing, change)
            run_at = standing.run_at if change.run_at is None else change.run_at
            now[change.job_id] = structs.replace(standing, state=change.state, run_at=run_at)
    return flags, [rows[job_id] for job_id in sorted(rows)]


def _finished(standing: Standing, change: Transition) -> Row:
    """A row for the query `finish`.

    A job that goes on running keeps its node: it tells where the attempt began. A transition that was decided before
    somebody wished to cancel the job, and does not end it, leaves it overdue at once: then it is cancelled instead of
    going on, for the reason that was given.
    """
    is_to_be_cancelled = change.ended_at is None and standing.cancel_wished_at is not None
    overdue_at = None if change.ended_at is not None else change.overdue_at
    return (
        change.job_id,
        change.state,
        standing.run_at if change.run_at is None else change.run_at,
        change.ended_at,
        change.refunded,
        change.losses,
        standing.wish if is_to_be_cancelled else storable(change.reason),
        standing.cancel_wished_at if is_to_be_cancelled else overdue_at,
        change.keep_until,
        standing.node_id if change.state is State.RUNNING else None,
    )


async def claim(transaction: Transaction, wish: Claim, front: Front) -> Claimed:
    """Take the first due jobs, as many as there are slots for and as one answer should hold."""
    next_due = await _next_due(transaction)
    if next_due is not None and next_due <= wish.now:
        await _promote(transaction, wish.now)
        front.forget()
        next_due = await _next_due(transaction)
    rows = await _http_behind(front, transaction, wish)
    rows += await _claimable(transaction, "exec", wish.slots.exec, wish, BEGINNING)
    rows.sort(key=claim_order)
    rows = within_bytes(rows[: wish.slots.total])
    taken = [row for row in rows if not row.is_to_end(wish.now)]
    if taken:
        await transaction.run("claim", listed([row.id for row in taken]), wish.node_id, wish.now, wish.now)
        transaction.count(State.AVAILABLE, -len(taken))
        transaction.count(State.RUNNING, len(taken))
    plans = await _plans(transaction, rows)
    jobs = tuple(job_of_claim(row, plans.get(row.id, b"")) for row in taken)
    overdue = [job_of_claim(row, plans.get(row.id, b"")) for row in rows if row.is_to_end(wish.now)]
    return Claimed(jobs, next_due, tuple(map(unclaimed, overdue)))


async def _lock(transaction: Transaction, job_ids: Iterable[int]) -> Mapping[int, Standing]:
    """Lock jobs in the order of their ids, as everybody does, so that two who want the same ones wait but once."""
    rows = await transaction.rows("lock_jobs", listed(sorted(job_ids)))
    return {row[0]: Standing(row[0], State(row[1]), *row[2:]) for row in rows}


async def _record(transaction: Transaction, ended: Sequence[Transition]) -> None:
    """Write what goes with transitions that have been applied: attempts, callbacks, counts."""
    attempts = [attempt_row(change.attempt) for change in ended if change.attempt is not None]
    await transaction.bulk("insert_attempts", attempts)
    callbacks = [job for change in ended for job in change.callbacks]
    ids = await insert_jobs(transaction, callbacks)
    transaction.callbacks += zip(ids, callbacks, strict=True)
    for change in ended:
        transaction.moved(change.from_state, change.state, change.run_at)


async def _promote(transaction: Transaction, now: int) -> None:
    due = [job_id for (job_id,) in await transaction.rows("due", now, PROMOTE_PAGE)]
    if due:
        await transaction.run("promote", listed(due))
        transaction.count(State.SCHEDULED, -len(due))
        transaction.count(State.AVAILABLE, len(due))


async def _next_due(transaction: Transaction) -> int | None:
    rows = await transaction.rows("next_due")
    return rows[0][0] if rows else None


async def _http_behind(front: Front, transaction: Transaction, wish: Claim) -> list[ClaimRow]:
    """The first http jobs behind the front; from the beginning where none is there."""
    place = front.begin()
    rows = await _claimable(transaction, "http", wish.slots.http, wish, place)
    if rows or place == BEGINNING:
        return rows
    front.forget()
    return await _claimable(transaction, "http", wish.slots.http, wish, front.begin())


async def _claimable(transaction: Transaction, type_: str, limit: int, wish: Claim, place: Place) -> list[ClaimRow]:
    limit = min(limit, wish.slots.total, CLAIM_LIMIT)
    if limit <= 0:
        return []
    rank, run_at, job_id = place
    behind = (rank, rank, run_at, rank, run_at, job_id)
    rows = await transaction.rows("claimable", wish.now, wish.node_id, wish.now, type_, *behind, limit)
    return [ClaimRow(*row) for row in rows]


def _last(claimed: Claimed) -> Place | None:
    """The place of the last http job that was found."""
    found = [job for job in (*claimed.jobs, *claimed.overdue) if not isinstance(job.plan.command, ExecCommand)]
    return max(((PRIORITY_MAX - job.priority, job.due_at, job.id) for job in found), default=None)


async def _plans(transaction: Transaction, rows: Sequence[ClaimRow]) -> Mapping[int, bytes]:
    if not rows:
        return {}
    found: Sequence[Any] = await transaction.rows("plans", listed([row.id for row in rows]))
    return dict(found)
