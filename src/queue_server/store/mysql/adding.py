"""Adding jobs: what collects while a transaction is under way shares the next one.

At most LANES transactions are under way, and nothing waits for a timer: at idle an add has its own. When a group fails
because one add is impossible, the adds are tried one by one, so that only that one fails.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import msgspec

from queue_server.domain.errors import (
    InvalidJob,
    JobDeleted,
    KeyMismatch,
    QueueServerError,
    StoreError,
    StoreUnavailable,
)
from queue_server.domain.job import NewJob, Once
from queue_server.store.contract import Added
from queue_server.store.front import Front
from queue_server.store.limits import PENDING_BYTES_LIMIT
from queue_server.store.mysql.inserting import insert_jobs, insert_once, load_once
from queue_server.store.mysql.pool import Pool
from queue_server.store.mysql.transaction import Transaction
from queue_server.store.once import Key, KnownKey, Settled, keys_of, settle_once

LANES = 2
GROUP_JOBS = 512
"""Jobs in one transaction, unless one add has more: a large batch holds small ones up for one transaction only."""


class Add(msgspec.Struct, frozen=True):
    """Jobs to be added, all or none; `is_once` if their idempotency keys count."""

    future: asyncio.Future[Any]
    jobs: Sequence[NewJob]
    is_once: bool


class Adding:
    """The adds of a store. `on_arrival` is told when the first of stored jobs may run."""

    def __init__(self, pool: Pool, front: Front, on_arrival: Callable[[int], None]) -> None:
        self._pool = pool
        self._front = front
        self._on_arrival = on_arrival
        self._waiting: deque[Add] = deque()
        self._writing: set[asyncio.Task[None]] = set()
        self._pending_bytes = 0

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[int]:
        """See Store.add."""
        return cast("Sequence[int]", await self._submit(jobs, is_once=False))

    async def add_once(self, jobs: Sequence[NewJob]) -> Added:
        """See Store.add_once."""
        return cast("Added", await self._submit(jobs, is_once=True))

    async def finish(self) -> None:
        """Wait until all is written that has been submitted."""
        while self._writing:
            await asyncio.wait(self._writing)

    async def _submit(self, jobs: Sequence[NewJob], *, is_once: bool) -> object:
        size = sum(len(job.payload) for job in jobs)
        if self._pending_bytes + size > PENDING_BYTES_LIMIT:
            raise StoreUnavailable("the database can't keep up: too much is waiting to be written")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(Add(future, jobs, is_once))
        self._pending_bytes += size
        self._start()
        try:
            return await future
        finally:
            self._pending_bytes -= size

    def _start(self) -> None:
        if self._waiting and len(self._writing) < LANES:
            task = asyncio.create_task(self._write_all())
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _write_all(self) -> None:
        """Write groups until nothing waits. What the callers submit in one turn of the event loop is one group."""
        await asyncio.sleep(0)
        while self._waiting:
            await self._write(self._next_group())

    def _next_group(self) -> list[Add]:
        """The first adds that wait. Of adds with one key the second one waits for what the first one keeps."""
        group = [self._waiting.popleft()]
        count, keys = len(group[0].jobs), keys_of(group[0].jobs)
        while self._waiting and count + len(self._waiting[0].jobs) <= GROUP_JOBS:
            its_keys = keys_of(self._waiting[0].jobs) if self._waiting[0].is_once else set[Key]()
            if keys & its_keys:
                break
            keys |= its_keys
            group.append(self._waiting.popleft())
            count += len(group[-1].jobs)
        return group

    async def _write(self, group: Sequence[Add]) -> None:
        try:
            results, done = await self._pool.write_and_tell(lambda transaction: _store(transaction, group))
        except StoreUnavailable as error:
            _answer([(add, error) for add in group])
        except Exception as error:  # noqa: BLE001 (whatever an add raises is that add's answer)
            if len(group) == 1:
                impossible = error if isinstance(error, StoreError) else StoreError(f"can't be stored: {error}")
                _answer([(group[0], impossible)])
                return
            for add in group:
                await self._write([add])
        else:
            _answer(list(zip(group, results, strict=True)))
            self._front.came(job for add in group for job in add.jobs)
            if done.arrived is not None:
                self._on_arrival(done.arrived)


async def _store(transaction: Transaction, group: Sequence[Add]) -> list[Any]:
    """All of the group; the result of each, which is an error where a key forbids it."""
    kept = await _kept(transaction, group)
    settled = [_settled(add, kept) for add in group]
    new = [_new_jobs(add, one) for add, one in zip(group, settled, strict=True)]
    ids = iter(await insert_jobs(transaction, [job for jobs in new for job in jobs]))
    own = [list(islice(ids, len(jobs))) for jobs in new]
    keys = [key for add, jobs, job_ids in zip(group, new, own, strict=True) for key in _keys(add, jobs, job_ids)]
    await insert_once(transaction, keys)
    return [_result(*of_add) for of_add in zip(group, settled, own, strict=True)]


def _new_jobs(add: Add, settled: Settled | QueueServerError) -> list[NewJob]:
    return [add.jobs[place] for place in settled.new] if isinstance(settled, Settled) else []


def _keys(add: Add, jobs: Sequence[NewJob], ids: Sequence[int]) -> list[tuple[Once, int]]:
    if not add.is_once:
        return []
    return [(job.once, id_) for job, id_ in zip(jobs, ids, strict=True) if job.once is not None]


def _result(add: Add, settled: Settled | QueueServerError, ids: Sequence[int]) -> Any:
    if isinstance(settled, QueueServerError):
        return settled
    return settled.added(ids) if add.is_once else ids


async def _kept(transaction: Transaction, group: Sequence[Add]) -> Mapping[Key, KnownKey]:
    keyed = [job for add in group if add.is_once for job in add.jobs if job.once is not None]
    return await load_once(transaction, keyed) if keyed else {}


def _settled(add: Add, kept: Mapping[Key, KnownKey]) -> Settled | QueueServerError:
    if not add.is_once:
        return Settled(range(len(add.jobs)), {}, {})
    try:
        return settle_once(add.jobs, kept)
    except (InvalidJob, KeyMismatch, JobDeleted) as refusal:
        return refusal


def _answer(results: Sequence[tuple[Add, Any]]) -> None:
    for add, result in results:
        if add.future.done():
            continue
        if isinstance(result, Exception):
            add.future.set_exception(result)
        else:
            add.future.set_result(result)
