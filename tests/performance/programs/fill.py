"""Fills a database with copies of a job through the store, which is faster than posting them.

Arguments: the database as the setting `db` names it, how many. The job comes on stdin. Hands in the jobs stored.
"""

import asyncio
import sys
import time

from queue_server.clock import ServerClock
from queue_server.config.settings import Settings
from queue_server.domain.command import command_type
from queue_server.domain.job import NewJob, Plan, encode_plan
from queue_server.domain.reading import read_request
from queue_server.domain.state import State
from queue_server.store.open import open_store
from tests.performance.work import Work, hand_in

BATCH = 5_000


async def fill(database: str, count: int, body: bytes) -> Work:
    clock = ServerClock()
    store = await open_store(Settings(db=database), clock)
    begin = time.monotonic()
    for start in range(0, count, BATCH):
        await store.add([new_job(body, clock.now())] * min(BATCH, count - start))
    await store.close()
    return Work(amount=count, seconds=time.monotonic() - begin, cpu_s=time.process_time())


def new_job(body: bytes, now: int) -> NewJob:
    request = read_request(body)
    assert isinstance(request.priority, int)
    assert isinstance(request.context, str)
    return NewJob(
        state=State.AVAILABLE,
        priority=request.priority,
        run_at=now,
        created_at=now,
        context=request.context,
        type=command_type(request.command),
        payload=encode_plan(Plan(request.command)),
    )


if __name__ == "__main__":
    hand_in(asyncio.run(fill(sys.argv[1], int(sys.argv[2]), sys.stdin.buffer.read())))
