"""The SQL behind a pulse: what the store of a shared database gives it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from queue_server.store.relay import Followed


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a node wants to know. `waited` are jobs whose end somebody waits for.

    `heard` is None where the node wants no messages; else the last number that it has heard of each node, and of nodes
    that are not in it, it wants those that are younger than `since` (the database's clock).
    """

    node_id: int
    now: int
    lease: int
    waited: Sequence[int] = ()
    heard: Mapping[int, int] | None = None
    since: int = 0


class Message(msgspec.Struct, frozen=True):
    """A message of another node. Numbers of one node grow in the order in which its messages were sent."""

    node_id: int
    number: int
    body: bytes


class Wish(msgspec.Struct, frozen=True):
    """A running job of this node that is to be cancelled."""

    job_id: int
    claim_seq: int
    reason: str


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """What a node learns.

    `told_at` is the database's clock. `nodes` and `slots` count the live nodes, those whose lease has not ended. `due`
    is the run_at of the first job that may be claimed then: 0 where one is available, None where none waits.
    `is_relaying` says that another live node wants messages. `revision` is another one
    when tokens or secrets have changed.
    """

    told_at: int
    nodes: int
    slots: int
    due: int | None
    is_relaying: bool
    revision: int = 0
    wishes: Sequence[Wish] = ()
    ended: Sequence[int] = ()
    messages: Sequence[Message] = ()
    followed: Sequence[Followed] = ()


def follows_text(followed: Iterable[Followed]) -> str:
    """Runs as the row of a node names them: at most 4,000 characters for FOLLOWED_LIMIT of them."""
    return " ".join(":".join(map(str, one)) for one in followed)


def followed_of(text: str) -> Sequence[Followed]:
    """The runs of such a text."""
    return [Followed(*map(int, one.split(":"))) for one in text.split()]


class PulseSource(Protocol):
    """The SQL behind a pulse. Each method is one short transaction on a connection that no long work holds up."""

    async def look(self, look: Look) -> Signs:
        """Look. StoreUnavailable where the database does not answer in a few seconds."""
        ...

    async def want_messages(self, node_id: int, wanted: bool, follows: str) -> None:
        """Say whether this node wants to hear messages, and which runs it follows (see `follows_text`)."""
        ...

    async def send(self, node_id: int, bodies: Sequence[bytes]) -> None:
        """Append messages of this node, in order. Not called twice at a time. Deletes what is older than a minute."""
        ...
