"""Adding many jobs at once: up to 32 requests in the air, the results in the order of the lines."""

import asyncio
from collections.abc import Callable
from typing import BinaryIO

import msgspec
from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import Response

from queue_server.cli.answers import RefusalError, error_of, no_answer
from queue_server.cli.client import Server, open_async
from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.stdin_lines import lines_of

PARALLEL = 32
TRIES_WHEN_BUSY = 10
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0


class Sent(msgspec.Struct, frozen=True):
    """What became of one line: the job as the server knows it, or an error. `size` is the line's in bytes."""

    line: int
    size: int
    result: bytes | CommandError


async def send_lines(server: Server, file: BinaryIO, report: Callable[[Sent], None]) -> None:
    """Post each line that is not blank as a job, and report each, in order. If `report` raises, all ends.

    Order costs little, as all requests take about as long; and when the server says that it is busy, the
    line that waits holds up those behind it, which is what a busy server needs.
    """
    window: asyncio.Queue[asyncio.Task[Sent] | None] = asyncio.Queue(PARALLEL)
    async with open_async(server, PARALLEL) as http, asyncio.TaskGroup() as group:
        group.create_task(_fill(window, group, Sender(http, server), file))
        while (task := await window.get()) is not None:
            report(await task)


class Sender:
    """Posts jobs, and tries again while the server answers that it is busy."""

    def __init__(self, http: Client, server: Server) -> None:
        self._http = http
        self._url = server.url

    async def send(self, number: int, line: bytes) -> Sent:
        """Post the line."""
        try:
            result = await self._post(line)
        except PyreqwestError as error:
            result = no_answer(self._url, error)
        return Sent(number, len(line), result)

    async def _post(self, line: bytes) -> bytes | CommandError:
        response = await self._post_once(line)
        for attempt in range(1, TRIES_WHEN_BUSY):
            if response.status != 503:
                break
            await asyncio.sleep(_pause(attempt, response.get_header("retry-after")))
            response = await self._post_once(line)
        content = bytes(await response.bytes())
        return error_of(response, content, self._url) or content

    async def _post_once(self, line: bytes) -> Response:
        request = self._http.post(f"{self._url}/v1/jobs").header("Content-Type", "application/json")
        return await request.body_bytes(line).build().send()


def stops_all(error: CommandError) -> bool:
    """Whether the error is of the server or the token, so that further lines would meet it too."""
    return error.code is Exit.UNREACHABLE or (isinstance(error, RefusalError) and error.status == 401)


async def _fill(
    window: asyncio.Queue[asyncio.Task[Sent] | None], group: asyncio.TaskGroup, sender: Sender, file: BinaryIO
) -> None:
    number = 0
    async for line in lines_of(file):
        number += 1
        if line.strip():
            await window.put(group.create_task(sender.send(number, line)))
    await window.put(None)


def _pause(attempt: int, retry_after: str | None) -> float:
    """Seconds before the next try: doubled each time, and never less than the server asks for."""
    asked = int(retry_after) if retry_after and retry_after.isdecimal() else 0
    return max(min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S), asked)
