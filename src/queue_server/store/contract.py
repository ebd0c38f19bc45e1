"""What the engine and the operations expect of a store.

Every method is atomic: it happens whole and is durable when it returns, or it raises a StoreError and nothing of it
was kept. Stores decide nothing: what should become of a job arrives as a Transition made by `domain.lifecycle`.
Times are integer microseconds UTC and come from the caller, whose clock is the database's where nodes share it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Literal, Protocol

import msgspec

from queue_server.domain.access import EVERYBODY, Access
from queue_server.domain.errors import QueueServerError
from queue_server.domain.job import Attempt, Job, JobRecord, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import Output
from queue_server.domain.state import State
from queue_server.domain.wishes import Answer
from queue_server.store.keeping import AuditStore, SecretStore, TokenStore
from queue_server.store.relay import Follows, Relay

LEASE_S = 15.0
"""How old a node's heartbeat may be. One that is older is gone: its jobs are given back, its slots do not count."""


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
    """What a claim found. `next_due` is when the earliest scheduled job becomes due, None if there is none.

    `overdue` are jobs that were next but whose time to start is over: they still wait, and have to be ended.
    """

    jobs: tuple[Job, ...]
    next_due: int | None
    overdue: tuple[Job, ...] = ()


NOTHING_CLAIMED = Claimed((), None)


class Turn(msgspec.Struct, frozen=True):
    """What came of `Store.turn`: which transitions applied, in their order, and what was claimed.

    `callbacks` are jobs that were added for transitions of the same transaction, of this turn or another.
    """

    applied: Sequence[bool]
    claimed: Claimed = NOTHING_CLAIMED
    callbacks: Sequence[tuple[int, NewJob]] = ()


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs are meant: those that fulfil all that is set. `…_after` includes its time, `…_before` does not.

    `contexts` and `queues` are those that who asks is bound to: a job is in one of each. None is no binding.
    """

    states: tuple[State, ...] = ()
    type: Literal["http", "exec"] | None = None
    queue: str | None = None
    context: str | None = None
    key: str | None = None
    parent_id: int | None = None
    tags: Mapping[str, str] = {}
    created_after: int | None = None
    created_before: int | None = None
    ended_after: int | None = None
    ended_before: int | None = None
    ids: tuple[int, ...] | None = None
    contexts: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None


EVERY_JOB = JobFilter()


class Order(StrEnum):
    """The orders of a list, as the API names them: ends are those of final jobs, due times those of scheduled ones."""

    NEWEST = "-id"
    OLDEST = "id"
    ENDED_LAST = "-ended_at"
    ENDED_FIRST = "ended_at"
    DUE = "run_at"


class Position(msgspec.Struct, frozen=True):
    """A place in an ordered list: the value that it is ordered by (the id itself for lists by id), and the id."""

    value: int
    id: int


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list: up to `limit` jobs that come after a position."""

    filter: JobFilter = EVERY_JOB
    order: Order = Order.NEWEST
    after: Position | None = None
    limit: int = 50


class JobPage(msgspec.Struct, frozen=True):
    """Jobs that were found. `next` is where to go on, None at the end.

    A search looks at a bounded number of jobs, so a page may hold fewer than its limit, even none, before the end.
    """

    jobs: Sequence[JobRecord]
    next: Position | None


class IdPage(msgspec.Struct, frozen=True):
    """Ids that were found, growing, and the id after which to go on, None at the end."""

    ids: Sequence[int]
    next_after: int | None


class Added(msgspec.Struct, frozen=True):
    """What came of adding jobs with idempotency keys: their ids in order, and where the job had been there before."""

    ids: Sequence[int]
    replayed: frozenset[int]


class Amended(msgspec.Struct, frozen=True):
    """What a rule made of one job. `answer` is an error where the rule raised one."""

    record: JobRecord
    answer: Answer | QueueServerError


Rule = Callable[[JobRecord], Answer]
"""A pure function, called inside the store's transaction. It may raise QueueServerErrors: they are its answer."""


Action = Literal["cancel", "retry", "delete"]


class OperationState(StrEnum):
    """Where an operation stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class NewOperation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation to add: an action on all jobs of a filter whose ids are at most `last_id`, asked for by `access`."""

    action: Action
    filter: JobFilter
    reason: str
    changes: str
    last_id: int
    matched: int
    created_at: int
    access: Access = EVERYBODY


class Operation(msgspec.Struct, frozen=True):
    """An action on many jobs, and how far it has come. `changes` is a JSON merge patch; it goes on after `next_id`."""

    id: int
    action: Action
    state: OperationState
    filter: JobFilter
    reason: str
    changes: str
    last_id: int
    next_id: int
    matched: int
    done: int
    skipped: int
    created_at: int
    ended_at: int | None
    error: str | None
    access: Access = EVERYBODY


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How far an operation is once a page of it is done; saved in the page's transaction.

    `after` is the `next_id` that the page was looked for from, if it matters: then nothing is done if the operation is
    elsewhere by now. So nodes may work on one operation at a time, and each page is done once.
    """

    operation_id: int
    next_id: int
    after: int | None = None
    state: OperationState = OperationState.RUNNING
    ended_at: int | None = None
    error: str | None = None


class Heartbeat(Protocol):
    """A node's sign of life, written from a thread of its own: a stalled event loop must not lose the lease."""

    def beat(self, now: int) -> None:
        """Say that the node lives. Blocks; StoreError when it could not be written."""
        ...


CancelListener = Callable[[int, int, str], None]
"""Called in the event loop with the id and claim of a running job that is to be interrupted, and why."""

ArrivalListener = Callable[[int], None]
"""Called in the event loop with the earliest run_at of jobs that have just become durable."""


class Store(TokenStore, SecretStore, AuditStore, Relay, Follows, Protocol):
    """The memory of a cluster of nodes."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may work on it: then a node's right to its jobs is a lease that ends with time."""
        ...

    @property
    def nodes(self) -> int:
        """How many nodes work on it, at least 1: those whose lease has not ended, as of about a second ago."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What the database's own settings weaken of our promises: a sentence for each, with the setting's name."""
        ...

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

    async def add_once(self, jobs: Sequence[NewJob]) -> Added:
        """Store jobs, all or none, but those whose idempotency key (`once`) is known: that stands for the job it was.

        KeyMismatch if such a job was another one; JobDeleted if it is gone. Then nothing is stored.
        """
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

    async def strays(self, node_id: int, known: Collection[int], limit: int) -> Sequence[Job]:
        """Up to `limit` running jobs of a node that are none of those that it knows of, by their ids, growing.

        The database's answer to their claim was lost, or is on its way. None where such a loss ends the server.
        """
        ...

    async def overdue(self, now: int, limit: int) -> Sequence[Job]:
        """Up to `limit` jobs whose `overdue_at` has passed."""
        ...

    async def amend(self, job_ids: Sequence[int], rule: Rule, step: Step | None = None) -> Sequence[Amended]:
        """Have `rule` say what becomes of each of these jobs, and apply it, all in one transaction.

        Ids that no job has are left out. `step` saves how far an operation has come: `done` grows by the jobs that were
        changed, `skipped` by all others. If the operation is over already, or not where `step.after` says, nothing is
        done.
        """
        ...

    async def purge(self, ended_before: Mapping[State, int], now: int, limit: int) -> int:
        """Delete up to `limit` of what is old, with all that belongs to it; how much it was.

        Final jobs that ended before their state's time, those whose own `keep_until` has passed, and idempotency keys
        whose time is over.
        """
        ...

    async def counts(self) -> Mapping[State, int]:
        """The number of jobs in each state; costs the same for any number of jobs."""
        ...

    async def count_contexts(self) -> None:
        """Keep the number of waiting jobs of each context from now on, for `waiting_in`."""
        ...

    async def waiting_in(self, context: str, limit: int) -> int:
        """How many jobs of a context wait; `limit` stands for that many or more. Only after `count_contexts`."""
        ...

    async def total_slots(self, now: int, lease: int) -> int:
        """The job slots of all live nodes."""
        ...

    async def get(self, job_id: int) -> JobRecord | None:
        """One job, or None."""
        ...

    async def find(self, query: JobQuery) -> JobPage:
        """A page of jobs. Looks at a bounded number of jobs, whatever the filter."""
        ...

    async def find_ids(self, wanted: JobFilter, *, after: int, last: int, limit: int) -> IdPage:
        """Up to `limit` ids of matching jobs, growing, greater than `after` and at most `last`. Bounded like `find`."""
        ...

    async def last_id(self) -> int:
        """The greatest id that a job has been given; 0 before the first."""
        ...

    async def add_operation(self, operation: NewOperation) -> int:
        """Store an operation to be carried out; its id."""
        ...

    async def operation(self, operation_id: int) -> Operation | None:
        """One operation, or None."""
        ...

    async def operations(self, before_id: int, limit: int) -> Sequence[Operation]:
        """Operations with smaller ids, newest first."""
        ...

    async def open_operations(self) -> Sequence[Operation]:
        """Operations that are not over, oldest first."""
        ...

    async def ahead(self, record: JobRecord, limit: int) -> int:
        """How many available jobs of its type are claimed before this one; `limit` stands for that many or more."""
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

    def on_cancel(self, listener: CancelListener) -> None:
        """Call `listener` for each running job of this node that is to be interrupted, whichever node was asked to."""
        ...

    def on_end(self, waited: Callable[[], Collection[int]], listener: Callable[[int], None]) -> None:
        """Call `listener` with those ids of `waited()` whose jobs other nodes have ended or deleted."""
        ...

    def on_kept(self, listener: Callable[[], None]) -> None:
        """Call `listener` about a second after any node has changed tokens or secrets, and once at first."""
        ...

    def on_failure(self, listener: Callable[[str], None]) -> None:
        """Call `listener` once, with one sentence, when the store can't be trusted any more: the server must stop."""
        ...

    async def close(self) -> None:
        """Write what is waiting and let go of the database."""
        ...
