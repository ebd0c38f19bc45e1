"""Events on their way to and from the other nodes of a cluster."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from queue_server.telemetry.events.event import JobEvent

BATCH = 500
GATHER_S = 0.02
"""How long events wait for more, so that a message holds many of them."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[JobEvent]).decode


class Others(Protocol):
    """A way to the other nodes; see the store's Relay."""

    @property
    def is_relaying(self) -> bool:
        """Whether some other node wants to hear messages now."""
        ...

    def relay(self, message: bytes) -> None:
        """Send a message to them."""
        ...

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """Call `listener` with each message of theirs."""
        ...

    def want_relayed(self, wanted: bool) -> None:
        """Say whether this node wants to hear messages."""
        ...


class Nobody:
    """The other nodes of a server that is alone."""

    is_relaying = False

    def relay(self, message: bytes) -> None:
        """See Others.relay."""

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """See Others.on_relayed."""

    def want_relayed(self, wanted: bool) -> None:
        """See Others.want_relayed."""


class EventRelay:
    """Tells other nodes of events while they want to hear of them, in their order."""

    def __init__(self, others: Others) -> None:
        self.others = others
        self._loop = asyncio.get_running_loop()
        self._waiting: list[JobEvent] = []
        self._turn: asyncio.TimerHandle | None = None

    def put(self, event: JobEvent) -> None:
        """Have an event told."""
        self._waiting.append(event)
        if len(self._waiting) >= BATCH:
            self.flush()
        elif self._turn is None:
            self._turn = self._loop.call_later(GATHER_S, self.flush)

    def flush(self) -> None:
        """Tell what waits."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._waiting:
            self.others.relay(_encode(self._waiting))
            self._waiting = []


def events_in(message: bytes) -> Sequence[JobEvent]:
    """The events of a message. Of a node of another version, which tells them differently, they are none."""
    try:
        return _decode(message)
    except msgspec.DecodeError:  # also of what has other types than expected
        return ()
