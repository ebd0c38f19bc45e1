"""How many clients may be connected, in all and from one address, and what becomes of one too many.

A place is made for a new connection by closing the one that has been idle for longest. Where none is idle, or where its
address has too many, the newcomer is told why and turned away before anything is read of what it sends.
"""

import asyncio
import ipaddress
from collections import Counter, deque
from functools import lru_cache
from typing import Protocol

from queue_server.web.errors import Failure
from queue_server.web.raw import raw_answer

LOOK_AGAIN_S = 0.5
"""How long a connection must have been idle to be closed for another, and how often idle ones are looked for."""

LINGER_S = 2.0
LINGERING_LIMIT = 256
"""Clients that are turned away may read why for so long, and so many of them at once: the others may miss it."""

Address = tuple[str, int] | None


class Guest(Protocol):
    """A connection of a client."""

    idle_since: float | None
    """Since when it has been waiting for a request, by the event loop's clock; None while it has one."""

    def close_idle(self) -> None:
        """Close it."""
        ...


class Gate:
    """Counts connections. `most_per_address` of 0 is no limit; loopback and sockets, where proxies are, have none."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._guests: dict[Guest, str | None] = {}
        self._by_address: Counter[str] = Counter()
        self._idle: deque[tuple[Guest, float]] = deque()
        self._looked_at = float("-inf")
        self._lingering = 0
        self._full = raw_answer(_full(most))
        self._too_many = raw_answer(_too_many(most_per_address))

    def admit(self, guest: Guest, address: Address, now: float) -> bytes | None:
        """Count a connection; or what it gets instead, and it is not counted."""
        counted = self._counted(address)
        if counted is not None and self._by_address[counted] >= self._most_per_address:
            return self._too_many
        if len(self._guests) >= self._most and not self._make_room(now):
            return self._full
        self._guests[guest] = counted
        if counted is not None:
            self._by_address[counted] += 1
        return None

    def leave(self, guest: Guest) -> None:
        """Forget a connection."""
        counted = self._guests.pop(guest, None)
        if counted is None:
            return
        self._by_address[counted] -= 1
        if not self._by_address[counted]:
            del self._by_address[counted]

    def turn_away(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Send the answer and close."""
        transport.write(answer)
        if self._lingering >= LINGERING_LIMIT or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        self._lingering += 1
        transport.set_protocol(_TurnedAway(transport, self._gone))

    def _gone(self) -> None:
        self._lingering -= 1

    def _counted(self, address: Address) -> str | None:
        if not self._most_per_address or address is None:
            return None
        return network_of(address[0])

    def _make_room(self, now: float) -> bool:
        """Close the connection that has been idle for longest; whether there was one."""
        if not self._idle and now - self._looked_at >= LOOK_AGAIN_S:
            self._looked_at = now
            idle = [(guest, guest.idle_since) for guest in self._guests if guest.idle_since is not None]
            found = [(guest, since) for guest, since in idle if now - since >= LOOK_AGAIN_S]
            self._idle.extend(sorted(found, key=lambda one: one[1]))
        while self._idle:
            guest, since = self._idle.popleft()
            if guest in self._guests and guest.idle_since == since:
                self.leave(guest)
                guest.close_idle()
                return True
        return False


class _TurnedAway(asyncio.Protocol):
    """What a client sends is dropped until it has read why: closing at once would take the answer from it."""

    def __init__(self, transport: asyncio.Transport, gone: "_Gone") -> None:
        self._gone = gone
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """See asyncio.Protocol."""
        self._timer.cancel()
        self._gone()


class _Gone(Protocol):
    def __call__(self) -> None: ...


@lru_cache(maxsize=4096)
def network_of(host: str) -> str | None:
    """The address as it is counted: of IPv6 the network of one client (64 bits); None for loopback and unknown ones."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return None if address.is_loopback else str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return None if address.is_loopback else str(address)


def _full(most: int) -> Failure:
    sentence = f"all {most} connections are in use (setting max_connections)"
    return Failure(503, sentence, headers={"Retry-After": "1"})


def _too_many(most: int) -> Failure:
    sentence = f"{most} connections of this address are open (setting max_connections_per_address)"
    return Failure(429, sentence, headers={"Retry-After": "1"})
