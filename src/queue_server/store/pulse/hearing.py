"""Which messages of other nodes are still to come."""

from collections.abc import Mapping, Sequence

from queue_server.store.pulse.source import Message

SECOND = 1_000_000
FORGET_AFTER = 120 * SECOND
REMEMBERED = 90 * SECOND
"""Messages are deleted when they are a minute old. So what is older than this needs no number to be known as heard."""


class Hearing:
    """How far this node has heard each other one. What it hears begins with the time `since` (the database's clock)."""

    def __init__(self, since: int) -> None:
        self.since = since
        self._heard: dict[int, tuple[int, int]] = {}

    @property
    def heard(self) -> Mapping[int, int]:
        """The last number that was heard of each node."""
        return {node_id: number for node_id, (number, _at) in self._heard.items()}

    def take(self, messages: Sequence[Message], now: int) -> Sequence[bytes]:
        """The bodies of those that are new."""
        new = list[bytes]()
        for message in messages:
            if message.number > self._heard.get(message.node_id, (0, 0))[0]:
                self._heard[message.node_id] = (message.number, now)
                new.append(message.body)
        self._forget_the_silent(now)
        return new

    def _forget_the_silent(self, now: int) -> None:
        """Nodes come and go. One that is silent is forgotten once all that was heard of it is older than `since`."""
        for node_id in [id_ for id_, (_number, at) in self._heard.items() if at <= now - FORGET_AFTER]:
            del self._heard[node_id]
            self.since = max(self.since, now - REMEMBERED)
