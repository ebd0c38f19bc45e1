"""Ends and claims of jobs, in one transaction.

Without a claim, or without ends where nothing is due that has to be made available first, a turn is one statement.
"""

from collections.abc import Callable, Sequence
from typing import Any

from queue_server.domain.command import ExecCommand
from queue_server.domain.job import PRIORITY_MAX, Job, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.store.contract import NOTHING_CLAIMED, Claim, Claimed, Turn
from queue_server.store.front import BEGINNING, Front, Place
from queue_server.store.limits import CLAIM_BYTES, CLAIM_LIMIT, PROMOTE_PAGE
from queue_server.store.postgres.inserting import earliest, insert_jobs
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import Session
from queue_server.store.postgres.statements import columns
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import ClaimRow, attempt_row, finish_row, job_of_claim, unclaimed

FINISH_COLUMNS = 29
NO_ATTEMPT: Row = (None,) * 18

Callbacks = list[tuple[int, NewJob]]


class Turns:
    """The turns of a store. `on_arrival` is told when the first of stored jobs may run."""

    def __init__(self, pool: Pool, front: Front, on_arrival: Callable[[int], None]) -> None:
        self._pool = pool
        self._front = front
        self._on_arrival = on_arrival
        self._next_due: int | None = None

    async def take(self, transitions: Sequence[Transition], claim: Claim | None) -> Turn:
        """See Store.turn."""
        if not transitions and claim is not None and not self._is_something_due(claim.now):
            claimed = await self._claim_alone(claim)
            if not _is_due(claimed.next_due, claim.now):
                self._next_due = claimed.next_due
                return Turn((), claimed)
        turn = await self._take(transitions, claim)
        if claim is not None:
            self._next_due = turn.claimed.next_due
        self._tell(transitions, turn)
        return turn

    async def _claim_alone(self, claim: Claim) -> Claimed:
        claimed = await self._pool.do(lambda session: self._claim(session, claim, is_promoted=False))
        self._front.took(_last(claimed))
        return claimed

    async def _take(self, transitions: Sequence[Transition], claim: Claim | None) -> Turn:
        self._pool.check_open()
        if claim is None and not transitions:
            return Turn((), NOTHING_CLAIMED)
        if claim is None and _is_simple(transitions):
            self._note(transitions, [])
            return Turn(await self._pool.do(lambda session: _apply(session, transitions)))
        turn = await self._pool.transact(lambda session: self._exchange(session, transitions, claim))
        if claim is not None:
            self._front.took(_last(turn.claimed))
        return turn

    async def _exchange(self, session: Session, transitions: Sequence[Transition], claim: Claim | None) -> Turn:
        flags, callbacks = await finish(session, transitions)
        self._note(transitions, callbacks)
        claimed = NOTHING_CLAIMED
        if claim is not None:
            is_promoted = self._is_something_due(claim.now)
            if is_promoted:
                await self._promote(session, claim)
            claimed = await self._claim(session, claim, is_promoted=is_promoted)
            if not is_promoted and _is_due(claimed.next_due, claim.now):
                await self._promote(session, claim)
                claimed = await self._claim(session, claim, is_promoted=True)
        return Turn(flags, claimed, callbacks)

    async def _promote(self, session: Session, claim: Claim) -> None:
        await session.value("promote", claim.now, PROMOTE_PAGE)
        self._front.forget()

    async def _claim(self, session: Session, claim: Claim, *, is_promoted: bool) -> Claimed:
        place = self._front.begin()
        claimed = await _claim(session, claim, place, is_promoted=is_promoted)
        if place == BEGINNING or claimed.jobs or claimed.overdue:
            return claimed
        self._front.forget()
        return await _claim(session, claim, self._front.begin(), is_promoted=is_promoted)

    def _is_something_due(self, now: int) -> bool:
        return _is_due(self._next_due, now)

    def _note(self, transitions: Sequence[Transition], callbacks: Callbacks) -> None:
        """Have the front know of jobs that may be claimed from now on, also where it turns out that they may not."""
        if any(change.state is State.AVAILABLE for change in transitions):
            self._front.forget()
        self._front.came(job for _, job in callbacks)

    def _tell(self, transitions: Sequence[Transition], turn: Turn) -> None:
        waiting = [
            (change.state, change.run_at)
            for change, applied in zip(transitions, turn.applied, strict=True)
            if applied and change.run_at is not None
        ]
        waiting += [(job.state, job.run_at) for _, job in turn.callbacks]
        if waiting and (first := earliest(waiting)) is not None:
            self._on_arrival(first)


def _is_due(next_due: int | None, now: int) -> bool:
    return next_due is not None and next_due <= now


async def finish(session: Session, transitions: Sequence[Transition]) -> tuple[list[bool], Callbacks]:
    """Apply transitions in a transaction: which applied, and the callbacks that were added for these."""
    flags = [False] * len(transitions)
    for wave in _waves(transitions):
        applied = await _apply(session, [transitions[place] for place in wave])
        for place, is_applied in zip(wave, applied, strict=True):
            flags[place] = is_applied
    applied = [change for change, is_applied in zip(transitions, flags, strict=True) if is_applied]
    callbacks = [job for change in applied for job in change.callbacks]
    ids = await insert_jobs(session, callbacks)
    return flags, list(zip(ids, callbacks, strict=True))


def _is_simple(transitions: Sequence[Transition]) -> bool:
    """Whether one statement applies them all: one for each job, and no callbacks."""
    return not any(change.callbacks for change in transitions) and len(_waves(transitions)) == 1


def _waves(transitions: Sequence[Transition]) -> list[list[int]]:
    """The places of transitions in sets that have one for each job: of several the first comes in the first set."""
    waves: list[list[int]] = []
    seen: dict[int, int] = {}
    for place, change in enumerate(transitions):
        number = seen[change.job_id] = seen.get(change.job_id, -1) + 1
        if number == len(waves):
            waves.append([])
        waves[number].append(place)
    return waves


async def _apply(session: Session, transitions: Sequence[Transition]) -> list[bool]:
    """Apply transitions of different jobs, whose rows are locked in the order of their ids."""
    order = sorted(range(len(transitions)), key=lambda place: transitions[place].job_id)
    found = await session.rows("finish_all", *columns([_row(transitions[place]) for place in order], FINISH_COLUMNS))
    flags = [False] * len(transitions)
    for (place,) in found:
        flags[order[place - 1]] = True
    return flags


def _row(change: Transition) -> Row:
    """A row for the query `finish_all`: the transition, then the attempt's record."""
    return finish_row(change) + (NO_ATTEMPT if change.attempt is None else attempt_row(change.attempt))


def _last(claimed: Claimed) -> Place | None:
    """The place of the last http job that was found."""
    found = [job for job in (*claimed.jobs, *claimed.overdue) if not isinstance(job.plan.command, ExecCommand)]
    return max(((PRIORITY_MAX - job.priority, job.due_at, job.id) for job in found), default=None)


async def _claim(session: Session, wish: Claim, place: Place, *, is_promoted: bool) -> Claimed:
    """Take the first due jobs, as many as there are slots for and as one answer should hold."""
    total = max(0, wish.slots.total)
    http, exec_ = (max(0, min(limit, total, CLAIM_LIMIT)) for limit in (wish.slots.http, wish.slots.exec))
    values = (http, exec_, total, CLAIM_BYTES, wish.now, wish.node_id, is_promoted, *place)
    (*_, next_due, _), *rows = await session.rows("claim", *values)
    jobs, overdue = list[Job](), list[Job]()
    for row in rows:
        *facts, _place, plan = row
        values: Any = (*facts[:11], len(plan), *facts[11:])
        found = ClaimRow(*values)
        job = job_of_claim(found, plan)
        if found.is_to_end(wish.now):
            overdue.append(unclaimed(job))
        else:
            jobs.append(job)
    return Claimed(tuple(jobs), next_due, tuple(overdue))
