"""Moving the rows of a store, whichever database holds them: what moves, and what a database must be able to do.

A row is the values of a table's columns in their order: int, str, bytes or None. Nodes don't move: they are gone when
their store is moved, and what ran on them is rescued where it arrives. Databases may keep more than this (counters,
columns made of others); `Import` fills that in by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from queue_server.store.rows import Row


class Table(msgspec.Struct, frozen=True):
    """A table that moves. `key` are the columns that tell its rows apart, in the order in which they are read.

    A page's rows have at most 32,767 values together, as many as one statement of PostgreSQL takes.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    page_rows: int = 1000

    @property
    def key_places(self) -> Sequence[int]:
        """Where the key's columns are in a row."""
        return [self.columns.index(name) for name in self.key]

    def key_of(self, row: Row) -> Row:
        """The key of a row."""
        return tuple(row[place] for place in self.key_places)


def _table(name: str, key: str, columns: str, page_rows: int = 1000) -> Table:
    return Table(name, tuple(key.split()), tuple(columns.split()), page_rows)


JOB = _table(
    "job",
    "id",
    "id state type rank run_at claim_seq attempt refunded losses node_id context created_at claimed_at ended_at reason "
    "parent_id queue key first_started_at overdue_at keep_until cancel_wished_at",
)
PAYLOAD = _table("payload", "job_id", "job_id plan", 200)
ATTEMPT = _table(
    "attempt",
    "job_id claim_seq",
    "job_id claim_seq number node_id started_at ended_at outcome exit_code signal error size error_size head text "
    "error_text due_at connect first_byte",
    16,
)
TAG = _table("tag", "job_id name value", "name value job_id")
ONCE = _table("once", "scope key", "scope key fingerprint job_id until")
OPERATION = _table(
    "operation",
    "id",
    "id action state filter reason changes last_id next_id matched done skipped created_at ended_at error access",
)
TOKEN = _table(
    "token",
    "id",
    "id name digest old_digest old_until scopes contexts queues targets created_at expires_at revoked_at last_used_at",
)
SECRET = _table("secret", "id", "id name kind sealed created_at until")
AUDIT = _table("audit", "id", "id at who token_id address action target count details")

TABLES: Sequence[Table] = (TOKEN, SECRET, JOB, PAYLOAD, ATTEMPT, TAG, ONCE, OPERATION, AUDIT)
"""In the order in which they move. The pages of plans and outputs, which can be large, are short."""

COUNTED = ("job", "node", "operation", "token", "secret", "audit")
"""Tables whose ids grow and are never used again."""

NextIds = Mapping[str, int]
"""The next id of each table in COUNTED."""

MARK_SCOPE = "moved"
"""Marks are idempotency keys of this scope, which no client can have: they tell what has been moved before."""

LASTING, PASSING = b"lasting", b"passing"
"""The fingerprints of marks: one moves with its database, the other is gone once a move is over."""

FOR_EVER = 2**53


class Mark(msgspec.Struct, frozen=True):
    """How far something has been moved into a database: `last_id`, by a name of what is moved."""

    name: str
    last_id: int
    fingerprint: bytes = LASTING


class Export(Protocol):
    """A database whose rows are read. Nobody works on it meanwhile, as far as it can hold others off.

    A database that keeps idempotency keys as digests gives rows of ONCE without a scope, the digest as their key.
    """

    @property
    def keeps_digests(self) -> bool:
        """Whether idempotency keys are kept as the digest of their scope and key."""
        ...

    @property
    def label(self) -> str:
        """The database as people know it, without passwords."""
        ...

    async def count(self, table: Table) -> int:
        """How many rows there are, without passing marks."""
        ...

    async def page(self, table: Table, after: Row | None) -> Sequence[Row]:
        """The next rows in the order of their keys, those after a key, without passing marks; none only at the end."""
        ...

    async def last_key(self, table: Table) -> Row | None:
        """The greatest key, None if there is no row."""
        ...

    async def next_ids(self) -> NextIds:
        """What the next ids are."""
        ...

    async def live_nodes(self) -> Sequence[str]:
        """The names of nodes that work on it now."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class Import(Export, Protocol):
    """A database, of the newest schema, that takes rows."""

    async def put(self, rows: Mapping[Table, Sequence[Row]], mark: Mark | None = None) -> None:
        """Add rows and set a mark, all in one transaction. Rows of ONCE and TAG that are there already stay.

        StoreError, and nothing is kept, if another row with such a key is there.
        """
        ...

    async def mark(self, name: str) -> int | None:
        """How far what has this name has been moved; None if it never was."""
        ...

    async def forget(self, name: str) -> None:
        """Forget a mark."""
        ...

    async def reserve(self, next_ids: NextIds) -> None:
        """Have the next ids be at least these."""
        ...

    async def settle(self) -> None:
        """Bring up to date what the database keeps of its rows beside them: counters, statistics."""
        ...
