"""What is done inside a transaction of the writing connection.

The writer is the only one who writes, so it also keeps what would cost a query to know: the next id, the number of jobs
in each state, and when the next scheduled job becomes due. They follow the transaction: `commit` makes their changes
real, `rollback` forgets them.
"""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import apsw
from msgspec import json

from queue_server.domain.job import NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.store.contract import Claim, Claimed, Node
from queue_server.store.queries import load_queries
from queue_server.store.sqlite.bulk import Row, in_bulk
from queue_server.store.sqlite.rows import (
    ClaimRow,
    attempt_row,
    claim_order,
    decode_claim_rows,
    finish_row,
    job_of_claim,
    job_row,
)

QUERIES = load_queries("queue_server.store.sqlite")
PROMOTE_PAGE = 1000
CLAIM_LIMIT = 256
CLAIM_BYTES = 16 * 1024 * 1024
"""Plans in one claim: more would only fill the memory, and a claim follows as soon as slots are free."""

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
        self._bulk("insert_jobs", [job_row(id_, job) for id_, job in zip(ids, jobs, strict=True)])
        self._bulk("insert_payloads", [(id_, job.payload) for id_, job in zip(ids, jobs, strict=True)])
        for job in jobs:
            self._changes[job.state] += 1
            self._arrive(job.state, job.run_at)
        return ids

    def finish(self, transitions: Sequence[Transition]) -> list[bool]:
        """Apply the transitions whose fence holds, with their attempts and callbacks; says of each whether it did.

        Must come first in its transaction: where one does not apply, which is rare, the transaction begins again.
        """
        rows = [finish_row(transition) for transition in transitions]
        flags = [True] * len(rows)
        if self._bulk("finish_all", rows) != len(rows):
            self.rollback()
            self.begin()
            flags = [self._bulk("finish", [row]) == 1 for row in rows]
        self._record([transition for transition, applied in zip(transitions, flags, strict=True) if applied])
        return flags

    def claim(self, wish: Claim) -> Claimed:
        """Take the first due jobs, as many as there are slots for and as one answer should hold."""
        if self._next_due is not None and self._next_due <= wish.now:
            self._promote(wish.now)
        rows = self._claimable("http", wish.slots.http, wish) + self._claimable("exec", wish.slots.exec, wish)
        rows.sort(key=claim_order)
        rows = _within_bytes(rows[: wish.slots.total])
        if not rows:
            return Claimed((), self._next_due)
        ids = json.encode([row.id for row in rows]).decode()
        self._run("claim", ids, wish.node_id, wish.now)
        self._changes[State.AVAILABLE] -= len(rows)
        self._changes[State.RUNNING] += len(rows)
        return Claimed(tuple(map(job_of_claim, rows, self._plans(rows, ids))), self._next_due)

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

    def _claimable(self, type_: str, limit: int, wish: Claim) -> list[ClaimRow]:
        if limit <= 0:
            return []
        values = (type_, min(limit, wish.slots.total, CLAIM_LIMIT), wish.now, wish.node_id)
        return decode_claim_rows(self._value("claimable", values))

    def _plans(self, rows: Sequence[ClaimRow], ids: str) -> Sequence[str | bytes]:
        try:
            return json.decode(self._value("plans", (ids,)))
        except UnicodeDecodeError:  # a damaged plan must not keep the others from running
            return [self._value("plan", (row.id,)) for row in rows]

    def _record(self, ended: Sequence[Transition]) -> None:
        """What goes with transitions that apply: attempts, callbacks, counts."""
        self._bulk("insert_attempts", [attempt_row(change.attempt) for change in ended if change.attempt is not None])
        callbacks = [job for change in ended for job in change.callbacks]
        if callbacks:
            self.insert(callbacks)
        for change in ended:
            self._changes[change.from_state] -= 1
            self._changes[change.state] += 1
            if change.run_at is not None:
                self._arrive(change.state, change.run_at)
        if any(change.from_state is State.SCHEDULED for change in ended):
            self._next_due = self._value("next_due")

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

    def _bulk(self, name: str, rows: Sequence[Row]) -> int:
        """Run a query with many rows at once; how many rows of the database it changed."""
        changed = 0
        for statement, values in in_bulk(QUERIES[name], rows):
            self._cursor.execute(statement, values)
            changed += self._database.changes()
        return changed

    def _rows(self, name: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return list(self._cursor.execute(QUERIES[name], values))

    def _value(self, name: str, values: tuple[Any, ...] = ()) -> Any:
        return self._rows(name, values)[0][0]


def _within_bytes(rows: list[ClaimRow]) -> list[ClaimRow]:
    """The first rows, as many as have no more than CLAIM_BYTES of plans together, and at least one."""
    total = 0
    for place, row in enumerate(rows):
        total += row.plan_bytes
        if total > CLAIM_BYTES and place:
            return rows[:place]
    return rows
