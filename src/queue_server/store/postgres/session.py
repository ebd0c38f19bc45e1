"""One connection: how it is made, and what is done on it."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (the driver has no stubs)

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg
from asyncpg import exceptions

from queue_server.domain.errors import StoreUnavailable
from queue_server.store.postgres.address import Address
from queue_server.store.postgres.dialect import SETTINGS
from queue_server.store.postgres.faults import TIME_LIMIT_S
from queue_server.store.postgres.statements import QUERIES

T = TypeVar("T")

CONNECT_TIMEOUT_S = 3
SILENCE_LIMIT_MS = 3000
"""A network that does not even acknowledge what was sent for so long is broken. A server that is only slow is not: a
commit may take as long as it takes."""

PLAIN = {"jit": "off", "idle_in_transaction_session_timeout": "60s", "lock_timeout": "5s"}

WRITING = PLAIN | {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
}
"""Plans for our statements are made once, perhaps while the table is empty, and serve while it is full: they have to
walk indexes in their order."""

READING = PLAIN | SETTINGS | {"enable_bitmapscan": "off", "statement_timeout": f"{TIME_LIMIT_S}s"}

UPKEEP = WRITING | {"statement_timeout": "3s", "synchronous_commit": "off"}
"""What is kept up promises nothing to anybody, so it waits for no disk."""

NOT_REPLICATED = ("01000", "57P01")
"""The states of the warnings with which a commit returns that was not replicated: its wait was cancelled, or the server
is stopping (syncrep.c). None of our statements brings other warnings of these states."""


class Session:
    """A connection on which named queries are asked. For one user at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._is_warned = False
        connection.add_log_listener(self._heard)
        _fail_soon(connection)

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone."""
        return self._connection.is_closed()

    async def rows(self, name: str, *values: Any) -> Sequence[Any]:
        """The rows that a query finds."""
        return await self._connection.fetch(QUERIES[name], *values)

    async def rows_of(self, query: str, values: Sequence[Any]) -> Sequence[Any]:
        """The rows that a query finds which is put together as it is needed."""
        return await self._connection.fetch(query, *values)

    async def value(self, name: str, *values: Any) -> Any:
        """The only value of a query's only row."""
        return (await self.rows(name, *values))[0][0]

    async def run(self, name: str, *values: Any) -> int:
        """Run a query; how many rows it changed."""
        status: str = (await self._connection.execute(QUERIES[name], *values)).rpartition(" ")[2]
        return int(status) if status.isdecimal() else 0

    async def script(self, sql: str) -> None:
        """Run statements that bind no values."""
        await self._connection.execute(sql)

    async def transaction(self, work: Callable[["Session"], Awaitable[T]], begin: str = "begin") -> T:
        """What `work` returns, done in one transaction. After an error nothing of it is."""
        await self.script(begin)
        try:
            result = await work(self)
            await self.script("commit")
        except BaseException:
            if not self.is_closed:
                await self.script("rollback")
            raise
        self.check_replicated()
        return result

    def check_replicated(self) -> None:
        """StoreUnavailable if a commit came back before it was where the settings want it to be."""
        if self._is_warned:
            self._is_warned = False
            raise StoreUnavailable("the database gave up waiting for its standby; whether it was stored is unknown")

    async def listen(self, channel: str, listener: Callable[[str], None]) -> None:
        """Call `listener` with what is notified on a channel."""

        def hear(_connection: object, _pid: int, _channel: str, text: str) -> None:
            listener(text)

        await self._connection.add_listener(channel, hear)

    def on_loss(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the connection is gone."""

        def lost(_connection: object) -> None:
            listener()

        self._connection.add_termination_listener(lost)

    async def close(self) -> None:
        """Take leave of the server, or just go if it does not answer."""
        try:
            await self._connection.close(timeout=1.0)
        except (OSError, TimeoutError, exceptions.PostgresError, exceptions.InterfaceError):
            self._connection.terminate()

    def terminate(self) -> None:
        """Go without a word."""
        self._connection.terminate()

    def _heard(self, _connection: Any, message: Any) -> None:
        if message.severity_en == "WARNING" and message.sqlstate in NOT_REPLICATED:
            self._is_warned = True


async def connect(address: Address, settings: dict[str, str]) -> Session:
    """A new connection. The driver's errors, or OSError."""
    connection = await asyncpg.connect(
        address.dsn,
        timeout=CONNECT_TIMEOUT_S,
        statement_cache_size=200 if address.is_direct else 0,
        max_cached_statement_lifetime=0,
        server_settings={"application_name": "queue-server"},
    )
    if address.keeps_sessions:  # not as parameters of the start, which poolers refuse
        try:
            await connection.execute(
                "; ".join(f"set {name} = '{value}'" for name, value in settings.items()), timeout=CONNECT_TIMEOUT_S
            )
        except BaseException:
            connection.terminate()
            raise
    return Session(connection)


def _fail_soon(connection: Any) -> None:
    """Have the kernel notice a network that is gone, instead of waiting a quarter of an hour."""
    found: socket.socket | None = connection._transport.get_extra_info("socket")  # noqa: SLF001 (there is no other way)
    if found is None or found.family == socket.AF_UNIX:
        return
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_LIMIT_MS)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT):
        found.setsockopt(socket.IPPROTO_TCP, option, 1 if option != socket.TCP_KEEPCNT else 3)
