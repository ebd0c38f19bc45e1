"""The store's contract on one SQLite file."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from queue_server.clock import Clock
from queue_server.domain.errors import StoreUnavailable
from queue_server.domain.job import Attempt, Job, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import Output
from queue_server.domain.state import State
from queue_server.store.contract import ArrivalListener, Claim, JobFilter, JobRecord, Node, Turn
from queue_server.store.sqlite.connection import open_writer
from queue_server.store.sqlite.lock import FileLock, refuse_network_file_system
from queue_server.store.sqlite.readers import Readers
from queue_server.store.sqlite.session import Session
from queue_server.store.sqlite.writer import Add, Call, Exchange, Writer

PENDING_BYTES_LIMIT = 128 * 1024 * 1024
"""Payload bytes that may wait for the writer; more would only fill the memory while the disk is slow."""

BEAT_TIMEOUT_S = 10.0


class SqliteStore:
    """See Store. Only one process can have a file open: the lock tells the second one so."""

    def __init__(self, path: Path, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        refuse_network_file_system(path)
        self._lock = FileLock(path)
        try:
            self._writer = Writer(open_writer(path), path, loop)
        except BaseException:
            self._lock.release()
            raise
        self._readers = Readers(path, clock.monotonic)
        self._loop = loop
        self._pending_bytes = 0

    async def register(self, name: str, slots: int, now: int) -> Node:
        """See Store.register. The lock proves that every earlier node of this file is gone."""
        return await self._call(lambda session: session.register(name, slots, now))

    async def deregister(self, node_id: int) -> None:
        """See Store.deregister."""
        await self._call(lambda session: session.deregister(node_id))

    def heartbeat(self, node_id: int) -> "SqliteHeartbeat":
        """See Store.heartbeat."""
        return SqliteHeartbeat(self._writer, node_id)

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[int]:
        """See Store.add. StoreUnavailable while too much waits for the disk."""
        size = 0
        for job in jobs:
            size += len(job.payload)
        if self._pending_bytes + size > PENDING_BYTES_LIMIT:
            raise StoreUnavailable("the disk can't keep up: too much is waiting to be written")
        future: asyncio.Future[Sequence[int]] = self._loop.create_future()
        self._pending_bytes += size
        try:
            self._writer.submit(Add(future, jobs))
            return await future
        finally:
            self._pending_bytes -= size

    async def turn(self, transitions: Sequence[Transition], claim: Claim | None) -> Turn:
        """See Store.turn."""
        future: asyncio.Future[Turn] = self._loop.create_future()
        self._writer.submit(Exchange(future, transitions, claim))
        return await future

    async def expired(self, now: int, lease: int, limit: int) -> Sequence[Job]:  # noqa: ARG002 (the lock is the lease)
        """See Store.expired. The lock is the lease: nodes of earlier runs are gone, this one is alive."""
        return await self._readers.expired(limit)

    async def purge(self, ended_before: Mapping[State, int], limit: int) -> int:
        """See Store.purge."""
        return await self._call(lambda session: session.purge(ended_before, limit))

    async def counts(self) -> Mapping[State, int]:
        """See Store.counts: the writer keeps them."""
        return self._writer.session.counts

    async def total_slots(self, now: int, lease: int) -> int:  # noqa: ARG002 (the lock is the lease)
        """See Store.total_slots."""
        return await self._readers.total_slots()

    async def get(self, job_id: int) -> JobRecord | None:
        """See Store.get."""
        return await self._readers.get(job_id)

    async def find(self, wanted: JobFilter) -> Sequence[JobRecord]:
        """See Store.find."""
        return await self._readers.find(wanted)

    async def attempts(self, job_id: int) -> Sequence[Attempt]:
        """See Store.attempts."""
        return await self._readers.attempts(job_id)

    async def output(self, job_id: int, number: int | None = None) -> Output | None:
        """See Store.output."""
        return await self._readers.output(job_id, number)

    def on_arrival(self, listener: ArrivalListener) -> None:
        """See Store.on_arrival."""
        self._writer.on_arrival(listener)

    def on_failure(self, listener: Callable[[str], None]) -> None:
        """See Store.on_failure."""
        self._writer.on_failure(listener)

    async def close(self) -> None:
        """See Store.close."""
        await self._loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        self._readers.close()
        self._writer.close()
        self._lock.release()

    async def _call(self, action: Callable[[Session], Any]) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._writer.submit(Call(future, action))
        return await future


class SqliteHeartbeat:
    """See Heartbeat. The beat goes through the writer's thread: SQLite has one writer."""

    def __init__(self, writer: Writer, node_id: int) -> None:
        self._writer = writer
        self._node_id = node_id

    def beat(self, now: int) -> None:
        """See Heartbeat.beat."""
        future: Future[None] = Future()
        self._writer.submit(Call(future, lambda session: session.beat(self._node_id, now)))
        try:
            future.result(BEAT_TIMEOUT_S)
        except TimeoutError:
            raise StoreUnavailable("the disk did not take the heartbeat in time") from None
