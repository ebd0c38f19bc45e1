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

from queue_server.domain.job import Job, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.store.contract import Claim, Claimed, Node
from queue_server.store.limits import CLAIM_LIMIT, PROMOTE_PAGE
from queue_server.store.queries import load_queries
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import (
    RECORD,
    ClaimRow,
    attempt_row,
    claim_order,
    decode_claim_rows,
    finish_row,
    job_of_claim,
    job_row,
    unclaimed,
    within_bytes,
)
from queue_server.store.sqlite.bulk import in_bulk
from queue_server.store.sqlite.contexts import NO_CHANGES, WaitingContexts

QUERIES = {name: query.replace("{record}", RECORD) for name, query in load_queries("queue_server.store.sqlite").items()}

BEGINNING = 0


class Session:
    """The writing connection and what goes with it. Used by the writer's thread only."""

    def __init__(self, database: apsw.Connection) -> None:
        self._database = database
        self._cursor = database.cursor()
        self._next_id: int = self.value("load_next_id")
        self._next_due: int | None = self.value("next_due")
        self._before = (self._next_id, self._next_due)
        self._changes: Counter[State] = Counter()
        self.counts: Mapping[State, int] = {State(state): count for state, count in self.rows("count")}
        self.arrived: int | None = None
        self.callbacks: list[tuple[int, NewJob]] = []
        self.contexts: WaitingContexts | None = None
        self._contexts_before: WaitingContexts | None = None

    def begin(self) -> None:
        """Start a transaction that may write."""
        self._before = (self._next_id, self._next_due)
        self._contexts_before = self.contexts
        self._changes.clear()
        self.arrived = None
        self.callbacks = []
        self._cursor.execute("begin immediate")

    def commit(self) -> None:
        """Make it durable. After an error nothing of it is."""
        if self._next_id != self._before[0]:
            self._cursor.execute(QUERIES["save_next_id"], (self._next_id,))
        changes = NO_CHANGES if self.contexts is None else self.contexts.take_changes()
        self._cursor.execute("commit")
        if self.contexts is not None:
            self.contexts.apply(changes)
        if self._changes:
            self.counts = {state: count + self._changes[state] for state, count in self.counts.items()}

    def rollback(self) -> None:
        """Undo everything since `begin`."""
        self._next_id, self._next_due = self._before
        self.contexts = self._contexts_before
        self._changes.clear()
        self.arrived = None
        if self._database.in_transaction:
            self._cursor.execute("rollback")

    def insert(self, jobs: Sequence[NewJob]) -> list[int]:
        """Add jobs and return their ids."""
        ids = list(range(self._next_id, self._next_id + len(jobs)))
        self._next_id += len(jobs)
        self.bulk("insert_jobs", [job_row(id_, job) for id_, job in zip(ids, jobs, strict=True)])
        self.bulk("insert_payloads", [(id_, job.payload) for id_, job in zip(ids, jobs, strict=True)])
        tags = [(*tag, id_) for id_, job in zip(ids, jobs, strict=True) if job.tags for tag in job.tags.items()]
        self.bulk("insert_tags", tags)
        states = [job.state for job in jobs]
        for state in set(states):
            self._changes[state] += states.count(state)
            self._arrive(state, min(job.run_at for job in jobs if job.state is state))
        return ids

    def finish(self, transitions: Sequence[Transition]) -> list[bool]:
        """Apply the transitions whose fence holds, with their attempts and callbacks; says of each whether it did.

        Must come first in its transaction: where one does not apply, which is rare, the transaction begins again.
        """
        rows = [finish_row(transition) for transition in transitions]
        flags = [True] * len(rows)
        if self.bulk("finish_all", rows) != len(rows):
            self.rollback()
            self.begin()
            flags = [self.bulk("finish", [row]) == 1 for row in rows]
        self.record([transition for transition, applied in zip(transitions, flags, strict=True) if applied])
        return flags

    def claim(self, wish: Claim) -> Claimed:
        """Take the first due jobs, as many as there are slots for and as one answer should hold."""
        if self._next_due is not None and self._next_due <= wish.now:
            self._promote(wish.now)
        rows = self._claimable("http", wish.slots.http, wish) + self._claimable("exec", wish.slots.exec, wish)
        rows.sort(key=claim_order)
        rows = within_bytes(rows[: wish.slots.total])
        overdue = [row for row in rows if row.is_to_end(wish.now)]
        if overdue:
            rows = [row for row in rows if not row.is_to_end(wish.now)]
        if rows:
            self.run("claim", _ids(rows), wish.node_id, wish.now)
            self._changes[State.AVAILABLE] -= len(rows)
            self._changes[State.RUNNING] += len(rows)
        return Claimed(self._jobs(rows), self._next_due, tuple(map(unclaimed, self._jobs(overdue))))

    def record(self, ended: Sequence[Transition]) -> None:
        """Write what goes with transitions that have been applied: attempts, callbacks, counts."""
        self.bulk("insert_attempts", [attempt_row(change.attempt) for change in ended if change.attempt is not None])
        callbacks = [job for change in ended for job in change.callbacks]
        if callbacks:
            self.callbacks += zip(self.insert(callbacks), callbacks, strict=True)
        for change in ended:
            self.moved(change.from_state, change.state, change.run_at)
        if any(change.from_state is State.SCHEDULED for change in ended):
            self.find_next_due()

    def delete(self, job_ids: Sequence[int], state: State) -> None:
        """Delete jobs, which are all in `state`, with all that belongs to them."""
        if not job_ids:
            return
        ids = json.encode(job_ids).decode()
        for query in ("delete_attempts", "delete_payloads", "delete_tags", "delete_jobs"):
            self.run(query, ids)
        self._changes[state] -= len(job_ids)

    def moved(self, before: State, after: State, run_at: int | None) -> None:
        """Count a job that has gone from one state to another, where it may run at `run_at`."""
        self._changes[before] -= 1
        self._changes[after] += 1
        if run_at is not None:
            self._arrive(after, run_at)

    def find_next_due(self) -> None:
        """Look again when the next scheduled job becomes due, as one may have left that state."""
        self._next_due = self.value("next_due")

    def count_contexts(self) -> None:
        """Keep the number of waiting jobs of each context from now on."""
        self.contexts = WaitingContexts(self._cursor)

    @property
    def last_id(self) -> int:
        """The greatest id that a job has been given."""
        return self._next_id - 1

    def register(self, name: str, slots: int, now: int) -> Node:
        """Add this process as the only node."""
        node_id = self.value("insert_node", (name, slots, now))
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
        return decode_claim_rows(self.value("claimable", values))

    def _jobs(self, rows: Sequence[ClaimRow]) -> tuple[Job, ...]:
        return tuple(map(job_of_claim, rows, self._plans(rows))) if rows else ()

    def _plans(self, rows: Sequence[ClaimRow]) -> Sequence[str | bytes]:
        try:
            return json.decode(self.value("plans", (_ids(rows),)))
        except UnicodeDecodeError:  # a damaged plan must not keep the others from running
            return [self.value("plan", (row.id,)) for row in rows]

    def _promote(self, now: int) -> None:
        self.run("promote", now, PROMOTE_PAGE)
        promoted = self._database.changes()
        self._changes[State.SCHEDULED] -= promoted
        self._changes[State.AVAILABLE] += promoted
        self.find_next_due()

    def _arrive(self, state: State, run_at: int) -> None:
        """Remember that something can run at `run_at`, for the next due time and the listener of arrivals."""
        if state is State.SCHEDULED:
            self._next_due = run_at if self._next_due is None else min(run_at, self._next_due)
        elif state is not State.AVAILABLE:
            return
        else:
            run_at = BEGINNING
        self.arrived = run_at if self.arrived is None else min(run_at, self.arrived)

    def run(self, name: str, *values: Any) -> int:
        """Run a query; how many rows of the database it changed."""
        self._cursor.execute(QUERIES[name], values)
        return self._database.changes()

    def bulk(self, name: str, rows: Sequence[Row]) -> int:
        """Run a query with many rows at once; how many rows of the database it changed."""
        changed = 0
        for statement, values in in_bulk(QUERIES[name], rows):
            self._cursor.execute(statement, values)
            changed += self._database.changes()
        return changed

    def find_in_bulk(self, name: str, rows: Sequence[Row]) -> list[Any]:
        """What a query finds for many rows at once; its answer is a JSON list."""
        statements = in_bulk(QUERIES[name], rows)
        answers = [next(self._cursor.execute(statement, values))[0] for statement, values in statements]
        return [found for answer in answers for found in json.decode(answer)]

    def rows(self, name: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """The rows that a query finds."""
        return list(self._cursor.execute(QUERIES[name], values))

    def value(self, name: str, values: tuple[Any, ...] = ()) -> Any:
        """The only value of a query's only row."""
        return self.rows(name, values)[0][0]


def _ids(rows: Sequence[ClaimRow]) -> str:
    return json.encode([row.id for row in rows]).decode()
