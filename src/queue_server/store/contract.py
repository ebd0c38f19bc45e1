"""What the engine and the operations expect of a store.

Every method is atomic: it happens whole and is durable when it returns, or it raises a StoreError and nothing of it
was kept. Stores decide nothing: what should become of a job arrives as a Transition made by `domain.lifecycle`.
Times are integer microseconds UTC and come from the caller.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from queue_server.domain.job import Attempt, Job, NewJob, Plan
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import OutcomeKind, Output
from queue_server.domain.state import State


class Node(msgspec.Struct, frozen=True):
    """A running server process. Each start is a new node, so `id` also tells one run of a server from the next."""

    id: int
    name: str
    slots: int
    started_at: int


class Slots(msgspec.Struct, frozen=True):
    """How many jobs a claim may take: at most `total`, of which at most `exec` of type exec and `http` of type http."""

    total: int
    http: int
    exec: int


class Claim(msgspec.Struct, frozen=True):
    """The wish to take jobs to run on a node."""

    node_id: int
    slots: Slots
    now: int


class Claimed(msgspec.Struct, frozen=True):
    """What a claim found. `next_due` is when the earliest scheduled job becomes due, None if there is none."""

    jobs: tuple[Job, ...]
    next_due: int | None


NOTHING_CLAIMED = Claimed((), None)


class Turn(msgspec.Struct, frozen=True):
    """What came of `Store.turn`: which transitions applied, in their order, and what was claimed."""

    applied: Sequence[bool]
    claimed: Claimed = NOTHING_CLAIMED


class JobRecord(msgspec.Struct, frozen=True):
    """A job as a reader sees it, with the facts of its last ended attempt."""

    id: int
    state: State
    priority: int
    run_at: int
    context: str
    attempt: int
    claim_seq: int
    node_id: int | None
    created_at: int
    claimed_at: int | None
    ended_at: int | None
    reason: str
    parent_id: int | None
    plan: Plan
    outcome: OutcomeKind | None = None
    exit_code: int | None = None
    error: str | None = None


class JobFilter(msgspec.Struct, frozen=True):
    """Which jobs a list shows. `before_id` is the cursor: only jobs with smaller ids, newest first."""

    state: State | None = None
    context: str | None = None
    before_id: int | None = None
    limit: int = 50


class Heartbeat(Protocol):
    """A node's sign of life, written from a thread of its own: a stalled event loop must not lose the lease."""

    def beat(self, now: int) -> None:
        """Say that the node lives. Blocks; StoreError when it could not be written."""
        ...


ArrivalListener = Callable[[int], None]
"""Called in the event loop with the earliest run_at of jobs that have just become durable."""


class Store(Protocol):
    """The memory of a cluster of nodes."""

    async def register(self, name: str, slots: int, now: int) -> Node:
        """Add this process as a new node and start its lease."""
        ...

    async def deregister(self, node_id: int) -> None:
        """Remove a node that has stopped in good order. Its running jobs, if any, are then expired."""
        ...

    def heartbeat(self, node_id: int) -> Heartbeat:
        """The node's heartbeat, to be used from one thread."""
        ...

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[int]:
        """Store jobs, all or none, and return their ids in order. Ids grow and are never used again."""
        ...

    async def turn(self, transitions: Sequence[Transition], claim: Claim | None) -> Turn:
        """Apply transitions, then claim jobs, in one transaction.

        A transition applies only while its job is in `from_state` with the same claim_seq; else it is stale and
        nothing of it is written, neither its attempt nor its callbacks. Of two transitions of one claim the first
        applies. One that changes nothing is not written and does not apply.

        The claim first makes due jobs available, then takes up to `claim.slots` of them to run on its node, in the
        order priority descending, run_at, id. Each taken job is running, with attempt and claim_seq one higher. No
        other claim can take it. Fewer than could be may be taken, at least one where there is one.
        """
        ...

    async def expired(self, now: int, lease: int, limit: int) -> Sequence[Job]:
        """Up to `limit` running jobs whose node is gone: its heartbeat is older than `lease`, or it has none."""
        ...

    async def purge(self, ended_before: Mapping[State, int], limit: int) -> int:
        """Delete up to `limit` final jobs that ended before their state's time, with all that belongs to them."""
        ...

    async def counts(self) -> Mapping[State, int]:
        """The number of jobs in each state; costs the same for any number of jobs."""
        ...

    async def total_slots(self, now: int, lease: int) -> int:
        """The job slots of all live nodes."""
        ...

    async def get(self, job_id: int) -> JobRecord | None:
        """One job, or None."""
        ...

    async def find(self, wanted: JobFilter) -> Sequence[JobRecord]:
        """Jobs that match, newest first, at most `wanted.limit`."""
        ...

    async def attempts(self, job_id: int) -> Sequence[Attempt]:
        """All ended attempts of a job, oldest first, without their output."""
        ...

    async def output(self, job_id: int, number: int | None = None) -> Output | None:
        """The output of an attempt (the last one if no number is given), or None."""
        ...

    def on_arrival(self, listener: ArrivalListener) -> None:
        """Call `listener` whenever this process has stored jobs that may be run."""
        ...

    def on_failure(self, listener: Callable[[str], None]) -> None:
        """Call `listener` once, with one sentence, when the store can't be trusted any more: the server must stop."""
        ...

    async def close(self) -> None:
        """Write what is waiting and let go of the database."""
        ...
