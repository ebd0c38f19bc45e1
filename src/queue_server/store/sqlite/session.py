"""What is done inside a transaction of the writing connection.

The writer is the only one who writes, so it also keeps what would cost a query to know: the next id, the number of jobs
in each state, and when the next scheduled job becomes due. They follow the transaction: `commit` makes their changes
real, `rollback` forgets them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from queue_server.domain.job import Attempt, Job, NewJob, decode_plan
from queue_server.domain.job import PRIORITY_MAX
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.store.contract import Claimed, Node, Slots
from queue_server.store.queries import load_queries

QUERIES = load_queries("queue_server.store.sqlite")
PROMOTE_PAGE = 1000
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
        self._cursor.executemany(QUERIES["insert_job"], [_job_row(id_, job) for id_, job in zip(ids, jobs, strict=True)])
        self._cursor.executemany(
            QUERIES["insert_payload"], [(id_, job.payload) for id_, job in zip(ids, jobs, strict=True)]
        )
        for job in jobs:
            self._changes[job.state] += 1
            self._arrive(job.state, job.run_at)
        return ids

    def finish(self, transitions: Sequence[Transition]) -> list[bool]:
        """Apply the transitions whose fence holds, with their attempts and callbacks; says of each whether it did."""
        rows = self._cursor.executemany(
            QUERIES["finish"], [_finish_row(place, transition) for place, transition in enumerate(transitions)]
        )
        applied = {place for (place,) in rows}
        ended = [transition for place, transition in enumerate(transitions) if place in applied]
        attempts = [_attempt_row(transition.attempt) for transition in ended if transition.attempt is not None]
        if attempts:
            self._cursor.executemany(QUERIES["insert_attempt"], attempts)
        callbacks = [job for transition in ended for job in transition.callbacks]
        if callbacks:
            self.insert(callbacks)
        for transition in ended:
            self._changes[transition.from_state] -= 1
            self._changes[transition.state] += 1
            if transition.run_at is not None:
                self._arrive(transition.state, transition.run_at)
        return [place in applied for place in range(len(transitions))]

    def claim(self, node_id: int, slots: Slots, now: int) -> Claimed:
        """Take the first due jobs."""
        if self._next_due is not None and self._next_due <= now:
            self._promote(now)
        rows = self._rows("claim", (node_id, now, slots.http, slots.exec, slots.total))
        if rows:
            self._changes[State.AVAILABLE] -= len(rows)
            self._changes[State.RUNNING] += len(rows)
        rows.sort()  # RETURNING has no order
        return Claimed(tuple(map(job_of_row, rows)), self._next_due)

    def purge(self, ended_before: Mapping[State, int], limit: int) -> int:
        """Delete up to `limit` final jobs."""
        ids: list[tuple[int]] = []
        for state, before in ended_before.items():
            found = self._rows("purgeable", (state, before, limit - len(ids)))
            self._changes[state] -= len(found)
            ids += found
        for query in ("delete_attempts", "delete_payload", "delete_job"):
            self._cursor.executemany(QUERIES[query], ids)
        return len(ids)

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

    def _promote(self, now: int) -> None:
        self._cursor.execute(QUERIES["promote"], (now, PROMOTE_PAGE))
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

    def _rows(self, name: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return list(self._cursor.execute(QUERIES[name], values))

    def _value(self, name: str, values: tuple[Any, ...] = ()) -> Any:
        return self._rows(name, values)[0][0]


def job_of_row(row: Any) -> Job:
    """A Job from the columns that `claim` and `expired` return; its payload is decoded here, bad ones included."""
    rank, _, id_, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id, plan = row
    return Job(
        id_,
        State.RUNNING,
        claim_seq,
        attempt,
        refunded,
        losses,
        PRIORITY_MAX - rank,
        context,
        created_at,
        claimed_at,
        node_id,
        decode_plan(plan or b""),
    )


def _job_row(id_: int, job: NewJob) -> tuple[Any, ...]:
    rank = PRIORITY_MAX - job.priority
    return (id_, job.state, job.type, rank, job.run_at, job.context, job.created_at, job.parent_id)


def _finish_row(place: int, change: Transition) -> tuple[Any, ...]:
    return (
        place,
        change.state,
        change.run_at,
        change.ended_at,
        change.refunded,
        change.losses,
        change.reason,
        change.job_id,
        change.from_state,
        change.claim_seq,
    )


def _attempt_row(attempt: Attempt) -> tuple[Any, ...]:
    output = attempt.output
    return (
        attempt.job_id,
        attempt.claim_seq,
        attempt.number,
        attempt.node_id,
        attempt.started_at,
        attempt.ended_at,
        attempt.outcome,
        attempt.exit_code,
        attempt.signal,
        attempt.error,
        output.size,
        output.error_size,
        output.head,
        output.text,
        output.error_text,
    )
