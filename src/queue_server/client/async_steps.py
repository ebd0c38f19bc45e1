"""Takes the steps of an exchange, awaiting."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeVar, cast

from queue_server.client.async_connection import AsyncConnection, AsyncStream
from queue_server.client.errors import ClientError
from queue_server.client.exchange import Exchange, Item, Open, Pause, Read, Reply, Request, advanced, as_item

T = TypeVar("T")


async def result_of(connection: AsyncConnection, exchange: Exchange[T]) -> T:
    """The exchange's result."""
    async with aclosing(items_of(connection, as_item(exchange))) as items:
        return await anext(items)


async def items_of(connection: AsyncConnection, exchange: Exchange[None]) -> AsyncGenerator[Any]:
    """The exchange's items, as they come."""
    steps = _Steps(connection)
    outcome: Reply | ClientError = None
    try:
        while (step := advanced(exchange, outcome)) is not None:
            if isinstance(step, Item):
                outcome = None
                yield step.value
            else:
                outcome = await steps.outcome_of(step)
    finally:
        await steps.close()


class _Steps:
    """Keeps the stream that the steps of one exchange read."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._stream: AsyncStream | None = None

    async def outcome_of(self, step: Request | Pause | Open | Read) -> Reply | ClientError:
        try:
            return await self._take(step)
        except ClientError as error:
            return error

    async def close(self) -> None:
        if self._stream is not None:
            await self._stream.close()
            self._stream = None

    async def _take(self, step: Request | Pause | Open | Read) -> Reply:
        match step:
            case Request():
                return await self._connection.send(step)
            case Pause():
                await _sleep(step.seconds)
            case Open():
                await self.close()
                self._stream = await self._connection.open(step.request)
            case Read():
                return await cast("AsyncStream", self._stream).read()
        return None


async def _sleep(seconds: float) -> None:
    from asyncio import sleep  # noqa: PLC0415 (asyncio is slow to import, and the sync client does without)

    await sleep(seconds)
