"""What is done inside a transaction of the writing connection.

The writer is the only one who writes, so it also keeps what would cost a query to know: the next id, the number of jobs
in each state, and when the next scheduled job becomes due. They follow the transaction: `commit` makes their changes
real, `rollback` forgets them.
"""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apsw
from msgspec import json

from queue_server.domain.job import PRIORITY_MAX, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.store.contract import Claim, Claimed, Node
from queue_server.store.queries import load_queries
from queue_server.store.sqlite.rows import (
    ClaimRow,
    attempt_row,
    decode_claim_rows,
    finish_row,
    job_of_claim,
    output_bytes,
)

QUERIES = load_queries("queue_server.store.sqlite")
PROMOTE_PAGE = 1000
CLAIM_LIMIT = 256
CLAIM_BYTES = 16 * 1024 * 1024
"""Plans in one claim: more would only fill the memory, and a claim follows as soon as slots are free."""

SMALL_OUTPUT = 16 * 1024
"""Bytes of output that travel inside the JSON of a batch; larger ones are bound as they are."""

BEGINNING = 0


class Session:
    """The writing connection and what goes with it. Used by the writer's thread only."""

    def __init__(self, database: apsw.Connection) -> None:
        self._database = database
        self._cursor = database.cursor()
        self._next_id: int = self._value("load_next_id")
        self._next_due: int | None = self._value("next_due")
        self._before = (self._next_id, self._next_due)
        self._changes: Counter[State] = Counter()
        self.counts: Mapping[State, int] = {State(state): count for state, count in self._rows("count")}
        self.arrived: int | None = None

    def begin(self) -> None:
        """Start a transaction that may write."""
        self._before = (self._next_id, self._next_due)
        self._changes.clear()
        self.arrived = None
        self._cursor.execute("begin immediate")

    def commit(self) -> None:
        """Make it durable. After an error nothing of it is."""
        if self._next_id != self._before[0]:
            self._cursor.execute(QUERIES["save_next_id"], (self._next_id,))
        self._cursor.execute("commit")
        if self._changes:
            self.counts = {state: count + self._changes[state] for state, count in self.counts.items()}

    def rollback(self) -> None:
        """Undo everything since `begin`."""
        self._next_id, self._next_due = self._before
        self._changes.clear()
        self.arrived = None
        if self._database.in_transaction:
            self._cursor.execute("rollback")

    def insert(self, jobs: Sequence[NewJob]) -> list[int]:
        """Add jobs and return their ids."""
        ids = list(range(self._next_id, self._next_id + len(jobs)))
        self._next_id += len(jobs)
        self._run("insert_jobs", _json([_job_row(id_, job) for id_, job in zip(ids, jobs, strict=True)]))
        self._run(
            "insert_payloads",
            _json([(id_, job.payload.decode()) for id_, job in zip(ids, jobs, strict=True)]),
        )
        for job in jobs:
            self._changes[job.state] += 1
            self._arrive(job.state, job.run_at)
        return ids

    def finish(self, transitions: Sequence[Transition]) -> list[bool]:
        """Apply the transitions whose fence holds, with their attempts and callbacks; says of each whether it did."""
        rows = [finish_row(transition) for transition in transitions]
        applied = set(_first_of_each_job(json.decode(self._value("applicable", (_json(rows),))), transitions))
        if applied:
            self._run("finish", _json([row for place, row in enumerate(rows) if place in applied]))
            self._record([transition for place, transition in enumerate(transitions) if place in applied])
        return [place in applied for place in range(len(transitions))]

    def claim(self, wish: Claim) -> Claimed:
        """Take the first due jobs, as many as there are slots for and as one answer should hold."""
        slots, now, node_id = wish.slots, wish.now, wish.node_id
        if self._next_due is not None and self._next_due <= now:
            self._promote(now)
        limits = (slots.http, slots.exec, min(slots.total, CLAIM_LIMIT), now, node_id)
        rows = _within_bytes(decode_claim_rows(self._value("claimable", limits)))
        if not rows:
            return Claimed((), self._next_due)
        ids = _json([row.id for row in rows])
        self._run("claim", ids, node_id, now)
        self._changes[State.AVAILABLE] -= len(rows)
        self._changes[State.RUNNING] += len(rows)
        plans: list[str] = json.decode(self._value("plans", (ids,)))
        return Claimed(tuple(map(job_of_claim, rows, plans)), self._next_due)

    def purge(self, ended_before: Mapping[State, int], limit: int) -> int:
        """Delete up to `limit` final jobs."""
        deleted = 0
        for state, before in ended_before.items():
            ids = self._value("purgeable", (state, before, limit - deleted))
            count = len(json.decode(ids))
            if count:
                for query in ("delete_attempts", "delete_payloads", "delete_jobs"):
                    self._run(query, ids)
            self._changes[state] -= count
            deleted += count
        return deleted

    def register(self, name: str, slots: int, now: int) -> Node:
        """Add this process as the only node."""
        node_id = self._value("insert_node", (name, slots, now))
        self._cursor.execute(QUERIES["delete_other_nodes"], (node_id,))
        return Node(node_id, name, slots, now)

    def deregister(self, node_id: int) -> None:
        """Remove a node."""
        self._cursor.execute(QUERIES["delete_node"], (node_id,))

    def beat(self, node_id: int, now: int) -> None:
        """Renew a node's lease."""
        self._cursor.execute(QUERIES["beat"], (node_id, now))

    def _record(self, ended: Sequence[Transition]) -> None:
        """What goes with transitions that apply: attempts, callbacks, counts."""
        attempts = [transition.attempt for transition in ended if transition.attempt is not None]
        small = [attempt for attempt in attempts if output_bytes(attempt) <= SMALL_OUTPUT]
        self._run("insert_attempts", _json([attempt_row(attempt, bytes.hex) for attempt in small]))
        for attempt in attempts:
            if output_bytes(attempt) > SMALL_OUTPUT:
                self._run("insert_attempt", *attempt_row(attempt, bytes))
        callbacks = [job for transition in ended for job in transition.callbacks]
        if callbacks:
            self.insert(callbacks)
        for transition in ended:
            self._changes[transition.from_state] -= 1
            self._changes[transition.state] += 1
            if transition.run_at is not None:
                self._arrive(transition.state, transition.run_at)

    def _promote(self, now: int) -> None:
        self._run("promote", now, PROMOTE_PAGE)
        promoted = self._database.changes()
        self._changes[State.SCHEDULED] -= promoted
        self._changes[State.AVAILABLE] += promoted
        self._next_due = self._value("next_due")

    def _arrive(self, state: State, run_at: int) -> None:
        """Remember that something can run at `run_at`, for the next due time and the listener of arrivals."""
        if state is State.SCHEDULED:
            self._next_due = run_at if self._next_due is None else min(run_at, self._next_due)
        elif state is not State.AVAILABLE:
            return
        else:
            run_at = BEGINNING
        self.arrived = run_at if self.arrived is None else min(run_at, self.arrived)

    def _run(self, name: str, *values: Any) -> None:
        self._cursor.execute(QUERIES[name], values)

    def _rows(self, name: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return list(self._cursor.execute(QUERIES[name], values))

    def _value(self, name: str, values: tuple[Any, ...] = ()) -> Any:
        return self._rows(name, values)[0][0]


def _json(rows: Any) -> str:
    return json.encode(rows).decode()


def _within_bytes(rows: Sequence[ClaimRow]) -> Sequence[ClaimRow]:
    """The first rows, as many as have no more than CLAIM_BYTES of plans together, and at least one."""
    total = 0
    for place, row in enumerate(rows):
        total += row.plan_bytes
        if total > CLAIM_BYTES and place:
            return rows[:place]
    return rows


def _first_of_each_job(places: Sequence[int], transitions: Sequence[Transition]) -> Iterator[int]:
    """Of two transitions of one claim in one batch the first applies and the second comes too late."""
    seen: set[int] = set()
    for place in places:
        job_id = transitions[place].job_id
        if job_id not in seen:
            seen.add(job_id)
            yield place


def _job_row(id_: int, job: NewJob) -> tuple[Any, ...]:
    rank = PRIORITY_MAX - job.priority
    return (id_, job.state, job.type, rank, job.run_at, job.context, job.created_at, job.parent_id)
