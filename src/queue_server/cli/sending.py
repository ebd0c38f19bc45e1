"""Adding many jobs at once: up to 32 requests in the air, the results in the order of the lines."""

import asyncio
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from queue_server.cli.client import connect_many
from queue_server.cli.stdin_lines import lines_of
from queue_server.client import AsyncClient, ClientError, Job, Unreachable
from queue_server.client.address import Address

PARALLEL = 32
RETRY_FOR_S = 60.0
"""A server that is busy or restarts is waited for so long, for each line."""


class Sent(msgspec.Struct, frozen=True):
    """What became of one line: the job as the server knows it, or an error. `size` is the line's in bytes."""

    line: int
    size: int
    result: Job | ClientError


async def send_lines(server: Address, file: BinaryIO, report: Callable[[Sent], None]) -> None:
    """Post each line that is not blank as a job, and report each, in order. If `report` raises, all ends.

    Order costs little, as all requests take about as long; and when the server says that it is busy, the
    line that waits holds up those behind it, which is what a busy server needs.
    """
    window: asyncio.Queue[asyncio.Task[Sent] | None] = asyncio.Queue(PARALLEL)
    async with connect_many(server, PARALLEL, retry_for=RETRY_FOR_S) as client, asyncio.TaskGroup() as group:
        group.create_task(_fill(window, group, client, file))
        while (task := await window.get()) is not None:
            report(await task)


def stops_all(error: ClientError) -> bool:
    """Whether the error is of the server or the token, so that further lines would meet it too."""
    return isinstance(error, Unreachable) or error.status == 401


async def _fill(
    window: asyncio.Queue[asyncio.Task[Sent] | None], group: asyncio.TaskGroup, client: AsyncClient, file: BinaryIO
) -> None:
    number = 0
    async for line in lines_of(file):
        number += 1
        if line.strip():
            await window.put(group.create_task(_send(client, number, line)))
    await window.put(None)


async def _send(client: AsyncClient, number: int, line: bytes) -> Sent:
    """Post the line. The client gives it an idempotency key, so that trying again makes no second job."""
    try:
        return Sent(number, len(line), await client.add(line))
    except ClientError as error:
        return Sent(number, len(line), error)
