"""What nodes of a cluster tell each other through their database, beside what is true of jobs."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

FOLLOWED_LIMIT = 50
"""Runs whose outputs one node follows on others at a time."""


class Followed(NamedTuple):
    """A run whose output a node wants to hear from the node that runs it, and a number for what is sent of it."""

    job_id: int
    claim_seq: int
    number: int


class Follows(Protocol):
    """Which outputs the nodes want to hear of each other."""

    def follow(self, followed: Collection[Followed]) -> None:
        """Say which runs this node follows now, up to FOLLOWED_LIMIT; the others know it about a second later."""
        ...

    def on_followed(self, listener: Callable[[Sequence[Followed]], None]) -> None:
        """Call `listener` in the event loop, with each look, with all that other live nodes follow now."""
        ...


class Relay(Protocol):
    """Messages from each node to all others: best effort, at most once, in the order of their sender.

    For what may be lost: events that somebody watches, output while it is written. Nobody writes messages that no
    other node wants, so that they cost nothing while nobody watches.
    """

    @property
    def is_relaying(self) -> bool:
        """Whether some other node wants to hear messages now. Known within about a second."""
        ...

    def relay(self, message: bytes) -> None:
        """Send a message of up to 1 MiB to the others; dropped if none wants it or too much waits to be sent."""
        ...

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """Call `listener` in the event loop with each message of another node, while this one wants them."""
        ...

    def want_relayed(self, wanted: bool) -> None:
        """Say whether this node wants to hear messages. It hears those sent about a second later and on."""
        ...


class NoRelay:
    """The relay of a store that only one node uses."""

    def follow(self, followed: Collection[Followed]) -> None:
        """See Follows.follow."""

    def on_followed(self, listener: Callable[[Sequence[Followed]], None]) -> None:
        """See Follows.on_followed."""

    @property
    def is_relaying(self) -> bool:
        """See Relay.is_relaying."""
        return False

    def relay(self, message: bytes) -> None:
        """See Relay.relay."""

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """See Relay.on_relayed."""

    def want_relayed(self, wanted: bool) -> None:
        """See Relay.want_relayed."""
