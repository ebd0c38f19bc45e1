"""Adding jobs: what collects while statements are under way shares the next one.

At most LANES statements are under way, and nothing waits for a timer: at idle an add has its own. When a group fails
because one add is impossible, the adds are tried one by one, so that only that one fails.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from queue_server.domain.errors import InvalidJob, JobDeleted, KeyMismatch, StoreError, StoreUnavailable
from queue_server.domain.job import NewJob
from queue_server.store.contract import Added
from queue_server.store.front import Front
from queue_server.store.limits import PENDING_BYTES_LIMIT
from queue_server.store.once import Key, KnownKey, Settled, key_of, settle_once
from queue_server.store.postgres.faults import Contended, is_duplicate
from queue_server.store.postgres.inserting import arrival_of, insert_jobs, load_once
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import Session

LANES = 2
GROUP_JOBS = 1000
GROUP_BYTES = 16 * 1024 * 1024
"""Jobs and payload bytes in one statement, unless one add has more: so that a large batch holds small ones up for one
statement only."""


class Add(msgspec.Struct, frozen=True):
    """Jobs to be added, all or none; `is_once` if their idempotency keys count. `size` is that of their payloads."""

    future: asyncio.Future[Any]
    jobs: Sequence[NewJob]
    is_once: bool
    size: int


class Adding:
    """The adds of a store. `on_arrival` is told when the first of stored jobs may run."""

    def __init__(self, pool: Pool, front: Front, on_arrival: Callable[[int], None]) -> None:
        self._pool = pool
        self._front = front
        self._on_arrival = on_arrival
        self._waiting: deque[Add] = deque()
        self._lanes = 0
        self._pending_bytes = 0

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[int]:
        """See Store.add."""
        return cast("Sequence[int]", await self._submit(jobs, is_once=False))

    async def add_once(self, jobs: Sequence[NewJob]) -> Added:
        """See Store.add_once."""
        return cast("Added", await self._submit(jobs, is_once=True))

    async def _submit(self, jobs: Sequence[NewJob], *, is_once: bool) -> object:
        size = 0
        for job in jobs:
            size += len(job.payload)
        self._pool.check_open()
        if self._pending_bytes + size > PENDING_BYTES_LIMIT:
            raise StoreUnavailable("the database can't keep up: too much is waiting to be written")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(Add(future, jobs, is_once, size))
        self._pending_bytes += size
        if self._lanes < LANES:
            self._lanes += 1
            self._pool.start(self._write_all())
        try:
            return await future
        finally:
            self._pending_bytes -= size

    async def _write_all(self) -> None:
        """Write groups until nothing waits. What is submitted in one turn of the event loop is one group."""
        try:
            while self._waiting:
                await self._write(self._next_group())
        finally:
            self._lanes -= 1

    def _next_group(self) -> list[Add]:
        group = [self._waiting.popleft()]
        jobs, size = len(group[0].jobs), group[0].size
        while self._waiting:
            jobs, size = jobs + len(self._waiting[0].jobs), size + self._waiting[0].size
            if jobs > GROUP_JOBS or size > GROUP_BYTES:
                break
            group.append(self._waiting.popleft())
        return group

    async def _write(self, group: Sequence[Add]) -> None:
        try:
            results, jobs = await self._pool.do(lambda session: _store(session, group))
        except StoreUnavailable as error:
            _settle(group, [error] * len(group))
        except StoreError as error:
            if len(group) == 1:
                _settle(group, [error])
                return
            for add in group:
                await self._write([add])
        except BaseException as error:
            _settle(group, [StoreUnavailable(f"it was not stored: {error}")] * len(group))
            raise
        else:
            _settle(group, results)
            self._front.came(jobs)
            if (arrived := arrival_of(jobs)) is not None:
                self._on_arrival(arrived)


def _settle(group: Sequence[Add], results: Sequence[Any]) -> None:
    for add, result in zip(group, results, strict=True):
        if add.future.done():
            continue  # nobody waits for it any more
        if isinstance(result, Exception):
            add.future.set_exception(result)
        else:
            add.future.set_result(result)


async def _store(session: Session, group: Sequence[Add]) -> tuple[list[Any], Sequence[NewJob]]:
    """All of the group: the result of each, an error where a key forbids it, and the jobs that are new."""
    asked = [job for add in group if add.is_once for job in add.jobs]
    plan = _Plan(await load_once(session, asked))
    for add in group:
        plan.put(add)
    try:
        ids = await insert_jobs(session, plan.jobs, with_keys=bool(asked))
    except Exception as error:
        if is_duplicate(error):
            raise Contended from None
        raise
    return plan.results(ids), plan.jobs


class _Plan:
    """What a group inserts. Its adds see the keys of those before them, whose jobs have no ids yet.

    Such a job is known by a provisional id: -1 for the first one that is inserted, and so on.
    """

    def __init__(self, kept: dict[Key, KnownKey]) -> None:
        self.jobs: list[NewJob] = []
        self._kept = kept
        self._answers: list[tuple[bool, int, Settled | Exception]] = []

    def put(self, add: Add) -> None:
        """One add, after those before it."""
        start = len(self.jobs)
        if not add.is_once:
            settled: Settled | Exception = Settled(range(len(add.jobs)), {}, {})
        else:
            try:
                settled = settle_once(add.jobs, self._kept)
            except (InvalidJob, KeyMismatch, JobDeleted) as refused:
                settled = refused
        if isinstance(settled, Settled):
            self._insert(add, settled)
        self._answers.append((add.is_once, start, settled))

    def results(self, ids: Sequence[int]) -> list[Any]:
        """What came of each add once the jobs have their ids."""
        return [_result(*answer, ids) for answer in self._answers]

    def _insert(self, add: Add, settled: Settled) -> None:
        for place in settled.new:
            job = add.jobs[place]
            if add.is_once and job.once is not None:
                self._kept[key_of(job.once)] = KnownKey(-1 - len(self.jobs), job.once.fingerprint, is_there=True)
            elif job.once is not None:
                job = msgspec.structs.replace(job, once=None)
            self.jobs.append(job)


def _result(is_once: bool, start: int, settled: Settled | Exception, ids: Sequence[int]) -> Any:
    if isinstance(settled, KeyMismatch):
        return KeyMismatch(settled.key, _real(settled.job_id, ids))
    if isinstance(settled, Exception):
        return settled
    own = ids[start : start + len(settled.new)]
    if not is_once:
        return own
    known = {place: _real(job_id, ids) for place, job_id in settled.known.items()}
    return msgspec.structs.replace(settled, known=known).added(own)


def _real(job_id: int, ids: Sequence[int]) -> int:
    return job_id if job_id >= 0 else ids[-1 - job_id]
