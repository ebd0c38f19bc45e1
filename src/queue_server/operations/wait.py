"""Waiting for an end: of a job, or of anything else that has an id and is told about."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from queue_server.domain.access import Access
from queue_server.domain.job import JobRecord
from queue_server.operations.look import Look
from queue_server.telemetry.events.ends import Ends
from queue_server.telemetry.job_events import JobEvents

T = TypeVar("T")


class Wait:
    """Looks at a job once it has ended."""

    def __init__(self, look: Look, events: JobEvents) -> None:
        self._look = look
        self._ends = events.ends

    async def __call__(self, job_id: int, access: Access, seconds: float) -> JobRecord | None:
        """The job as soon as it is final, else as it is after so many seconds; None if there is no such job."""
        return await ended(self._ends, job_id, lambda id_: self._look.job(id_, access), _is_final, seconds)


async def ended(
    ends: Ends, id_: int, look: Callable[[int], Awaitable[T | None]], is_over: Callable[[T], bool], seconds: float
) -> T | None:
    """What `look` finds once the end with this id has come, or after so many seconds; at once where it is over already.

    Waits before it looks, so that an end between the two is not missed.
    """
    if seconds <= 0:
        return await look(id_)
    with ends.of(id_) as end:
        found = await look(id_)
        if found is None or is_over(found):
            return found
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await end
    return await look(id_)


def _is_final(job: JobRecord) -> bool:
    return job.state.is_final
