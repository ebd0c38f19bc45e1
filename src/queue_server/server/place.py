"""Where a server process stands: the socket that it listens on, and its number among those that share the port."""

import socket
from collections.abc import Callable

import msgspec


def _nothing() -> None:
    """Nobody wants to know."""


class Place(msgspec.Struct, frozen=True):
    """`number` is 0 for a process that is alone. `up` is called once when it takes jobs."""

    listener: socket.socket
    number: int = 0
    up: Callable[[], None] = _nothing

    @property
    def suffix(self) -> str:
        """What its node's name ends with."""
        return f"-{self.number}" if self.number else ""
