"""Connecting to targets, and using connections again.

Here, and nowhere else, addresses become connections: each is judged by the rules for targets first, and the connection
is made to the judged address, whose name is not asked for again (a name server may answer otherwise the next time).
"""

import asyncio
import os
import socket
import ssl
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import cached_property, partial
from ipaddress import ip_address
from pathlib import Path

import certifi

from queue_server.domain.addresses import Address
from queue_server.domain.target_items import TargetLimits
from queue_server.domain.targets import Targets
from queue_server.executors.http_client.connection import Connection
from queue_server.executors.http_client.failures import (
    ConnectTimedOut,
    RequestTimedOut,
    TargetRefused,
    cannot_connect,
)
from queue_server.executors.http_client.origin import Origin

IDLE_S = 3.0
"""How long an unused connection is kept: less than the 5 s after which common servers close theirs, so that a request
does not meet a connection that is just being closed."""

FRESH_S = 0.05
"""A connection that was unused for longer is asked whether the target has closed it: a request is sent once only."""

IDLE_LIMIT = 1024
"""Unused connections that are kept for one origin."""


class Pool:
    """Connections by origin. Used in one event loop."""

    def __init__(self, connect_timeout: float, targets: Targets) -> None:
        self._connect_timeout = connect_timeout
        self._targets = targets
        self._idle: defaultdict[Origin, deque[Connection]] = defaultdict(deque)
        self._lookups: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if not _system_has_certificates():
            context.load_verify_locations(certifi.where())
        return context

    def take(self, origin: Origin, limits: TargetLimits) -> Connection | None:
        """An unused connection to the origin that is still open, the one used last; None if there is none.

        It was judged when it was made; by other limits than these it is judged again, and left to others if refused.
        """
        idle = self._idle.get(origin)
        while idle:
            connection = idle[-1]
            if connection.judged_by is not limits and self._refusal(origin, connection.address, limits):
                return None
            idle.pop()
            idle_s = self._loop.time() - connection.idle_since
            if connection.is_reusable and idle_s < IDLE_S and (idle_s < FRESH_S or connection.is_silent()):
                return connection
            connection.close()
        return None

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if it can't have one."""
        if not connection.is_reusable or len(idle := self._idle[origin]) >= IDLE_LIMIT:
            connection.close()
            return
        connection.idle_since = self._loop.time()
        idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_S, self._close_idle)

    async def connect(self, origin: Origin, time_left: float, limits: TargetLimits) -> Connection:
        """A new connection; RequestFailed naming what went wrong."""
        limit = min(self._connect_timeout, time_left)
        try:
            async with asyncio.timeout(limit):
                connection = await self._connect_to_any(origin, limit, limits)
        except TimeoutError:
            failure = ConnectTimedOut if limit < time_left else RequestTimedOut
            raise failure(f"timed out while connecting to {origin.place}") from None
        except (OSError, UnicodeError) as error:
            raise cannot_connect(error, origin.place) from None
        connection.judged_by = limits
        return connection

    def close(self) -> None:
        """Close what is unused."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for lookup in self._lookups.values():
            lookup.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    async def _connect_to_any(self, origin: Origin, limit: float, limits: TargetLimits) -> Connection:
        """Try the origin's addresses in their order; each but the last gets its share of the time."""
        addresses = await self._allowed_addresses(origin, limits)
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(limit / len(addresses)):
                    return await self._connect_to(address, origin)
            except OSError:  # a timeout is one too
                continue
        return await self._connect_to(addresses[-1], origin)

    async def _allowed_addresses(self, origin: Origin, limits: TargetLimits) -> Sequence[Address]:
        """All addresses of the origin; TargetRefused if one of them, or the name itself, is forbidden."""
        if refusal := self._targets.refusal_of_name(origin.judged_as, limits):
            raise TargetRefused(refusal)
        addresses = await self._addresses(origin)
        for address in addresses:
            if refusal := self._refusal(origin, address, limits):
                raise TargetRefused(refusal)
        return addresses

    def _refusal(self, origin: Origin, address: Address | None, limits: TargetLimits) -> str | None:
        if address is None:
            return "its address is not known"
        return self._targets.refusal(origin.judged_as, address, limits)

    async def _addresses(self, origin: Origin) -> list[Address]:
        """Requests to one host share a look-up, also one that others gave up.

        It can't be aborted and holds one of libuv's 4 threads: without sharing, four requests to a host whose name
        server is slow would hold up those to every other host.
        """
        key = origin.host, origin.port
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._loop.create_task(self._look_up(*key))
            self._lookups[key] = lookup
            lookup.add_done_callback(partial(self._forget, key))
        return await asyncio.shield(lookup)

    def _forget(self, key: tuple[str, int], lookup: asyncio.Task[list[Address]]) -> None:
        del self._lookups[key]
        if not lookup.cancelled():
            lookup.exception()  # is heard here in case all who waited for it have gone

    async def _look_up(self, host: str, port: int) -> list[Address]:
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        texts = (str(address[0]).partition("%")[0] for *_, address in found)  # what follows is a zone
        return list(dict.fromkeys(map(ip_address, texts)))

    async def _connect_to(self, address: Address, origin: Origin) -> Connection:
        _, connection = await self._loop.create_connection(
            lambda: Connection(self._loop, address),
            str(address),
            origin.port,
            flags=socket.AI_NUMERICHOST,
            ssl=self._tls if origin.is_tls else None,
            server_hostname=origin.host if origin.is_tls else None,
        )
        return connection

    def _close_idle(self) -> None:
        """Close connections that were unused for too long."""
        oldest = self._loop.time() - IDLE_S
        for origin, idle in list(self._idle.items()):
            while idle and (idle[0].idle_since <= oldest or not idle[0].is_reusable):
                idle.popleft().close()
            if not idle:
                del self._idle[origin]
        self._sweep = self._loop.call_later(IDLE_S / 2, self._close_idle) if self._idle else None


def _system_has_certificates() -> bool:
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    return bool(paths.cafile) or bool(folder and folder.is_dir() and any(os.scandir(folder)))
