"""Messages of several kinds over one relay, so that each part hears only its own."""

from collections.abc import Callable

from queue_server.store.relay import Relay


class Channels:
    """The kinds of messages of a node. It wants to hear messages while any of its channels does."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._channels: dict[bytes, Channel] = {}
        self._wanting: set[bytes] = set()
        relay.on_relayed(self._relayed)

    def open(self, kind: bytes) -> "Channel":
        """The channel for a kind, which is one byte."""
        channel = self._channels[kind] = Channel(self._relay, kind, self._want)
        return channel

    def _want(self, kind: bytes, wanted: bool) -> None:
        (self._wanting.add if wanted else self._wanting.discard)(kind)
        self._relay.want_relayed(bool(self._wanting))

    def _relayed(self, message: bytes) -> None:
        if channel := self._channels.get(message[:1]):
            channel.hear(message[1:])


class Channel:
    """See Relay, of one kind of messages. Messages may also come that were wanted for another kind."""

    def __init__(self, relay: Relay, kind: bytes, want: Callable[[bytes, bool], None]) -> None:
        self._relay = relay
        self._kind = kind
        self._want = want
        self._listeners: list[Callable[[bytes], None]] = []

    @property
    def is_relaying(self) -> bool:
        """See Relay.is_relaying."""
        return self._relay.is_relaying

    def relay(self, message: bytes) -> None:
        """See Relay.relay."""
        self._relay.relay(self._kind + message)

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """See Relay.on_relayed."""
        self._listeners.append(listener)

    def want_relayed(self, wanted: bool) -> None:
        """See Relay.want_relayed."""
        self._want(self._kind, wanted)

    def hear(self, message: bytes) -> None:
        """A message of another node has come."""
        for listener in self._listeners:
            listener(message)
