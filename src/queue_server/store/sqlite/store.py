"""The store's contract on one SQLite file."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import CoroutineType
from typing import Any, TypeVar

from queue_server.clock import Clock
from queue_server.domain.audit import Act
from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.domain.job import Attempt, Job, JobRecord, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import Output
from queue_server.domain.secret import KeptSecret, Kind
from queue_server.domain.state import State
from queue_server.domain.tokens import NewToken, Token
from queue_server.domain.wishes import CancelWish
from queue_server.store.contract import (
    Added,
    Amended,
    ArrivalListener,
    CancelListener,
    Claim,
    IdPage,
    JobFilter,
    JobPage,
    JobQuery,
    NewOperation,
    Node,
    Operation,
    Rule,
    Step,
    Turn,
)
from queue_server.store.keeping import NewSecret
from queue_server.store.limits import PENDING_BYTES_LIMIT
from queue_server.store.relay import NoRelay
from queue_server.store.rows.acts import row_of_act
from queue_server.store.sqlite.amending import amend, insert_operation
from queue_server.store.sqlite.connection import open_writer
from queue_server.store.sqlite.lock import FileLock, refuse_network_file_system
from queue_server.store.sqlite.purging import Purge
from queue_server.store.sqlite.readers import Readers
from queue_server.store.sqlite.secrets import delete_secret, put_secret, reseal_secrets
from queue_server.store.sqlite.session import Session
from queue_server.store.sqlite.tokens import insert_token, note_used
from queue_server.store.sqlite.work import Add, AddOnce, Call, Exchange
from queue_server.store.sqlite.writer import Writer

T = TypeVar("T")

BEAT_TIMEOUT_S = 10.0


class SqliteStore(NoRelay):
    """See Store. Only one process can have a file open: the lock tells the second one so."""

    is_shared = False
    nodes = 1
    warnings: Sequence[str] = ()

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
        self._purge = Purge()
        self._cancel_listeners: list[CancelListener] = []

    async def register(self, name: str, slots: int, now: int) -> Node:
        """See Store.register. The lock proves that every earlier node of this file is gone."""
        return await self._call(lambda session: session.register(name, slots, now))

    async def deregister(self, node_id: int) -> None:
        """See Store.deregister."""
        await self._call(lambda session: session.deregister(node_id))

    def heartbeat(self, node_id: int) -> "SqliteHeartbeat":
        """See Store.heartbeat."""
        return SqliteHeartbeat(self._writer, node_id)

    def add_once(self, jobs: Sequence[NewJob]) -> "CoroutineType[Any, Any, Added]":
        """See Store.add_once. StoreUnavailable while too much waits for the disk."""
        future: asyncio.Future[Added] = self._loop.create_future()
        return self._submit_jobs(AddOnce(future, jobs), future)

    def add(self, jobs: Sequence[NewJob]) -> "CoroutineType[Any, Any, Sequence[int]]":
        """See Store.add. StoreUnavailable while too much waits for the disk."""
        future: asyncio.Future[Sequence[int]] = self._loop.create_future()
        return self._submit_jobs(Add(future, jobs), future)

    async def _submit_jobs(self, work: Add | AddOnce, future: asyncio.Future[T]) -> T:
        size = 0
        for job in work.jobs:
            size += len(job.payload)
        if self._pending_bytes + size > PENDING_BYTES_LIMIT:
            raise StoreUnavailable("the disk can't keep up: too much is waiting to be written")
        self._pending_bytes += size
        try:
            self._writer.submit(work)
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

    async def strays(self, node_id: int, known: Collection[int], limit: int) -> Sequence[Job]:  # noqa: ARG002
        """See Store.strays. A commit that fails ends this process."""
        return ()

    async def overdue(self, now: int, limit: int) -> Sequence[Job]:
        """See Store.overdue."""
        return await self._readers.overdue(now, limit)

    async def amend(self, job_ids: Sequence[int], rule: Rule, step: Step | None = None) -> Sequence[Amended]:
        """See Store.amend."""
        amended = await self._call(lambda session: amend(session, job_ids, rule, step))
        for one in amended:
            if isinstance(one.answer, CancelWish):
                for listener in self._cancel_listeners:
                    listener(one.answer.job_id, one.answer.claim_seq, one.answer.reason)
        return amended

    async def purge(self, ended_before: Mapping[State, int], now: int, limit: int) -> int:
        """See Store.purge."""
        purge = self._purge
        deleted, self._purge = await self._call(lambda session: purge.page(session, ended_before, now, limit))
        return deleted

    async def counts(self) -> Mapping[State, int]:
        """See Store.counts: the writer keeps them."""
        return self._writer.session.counts

    async def count_contexts(self) -> None:
        """See Store.count_contexts."""
        await self._call(lambda session: session.count_contexts())

    async def waiting_in(self, context: str, limit: int) -> int:
        """See Store.waiting_in: the writer keeps it."""
        contexts = self._writer.session.contexts
        if contexts is None:
            raise StoreError("the waiting jobs of contexts are not counted")
        return min(contexts.of(context), limit)

    async def total_slots(self, now: int, lease: int) -> int:  # noqa: ARG002 (the lock is the lease)
        """See Store.total_slots."""
        return await self._readers.total_slots()

    async def get(self, job_id: int) -> JobRecord | None:
        """See Store.get."""
        return await self._readers.get(job_id)

    async def find(self, query: JobQuery) -> JobPage:
        """See Store.find."""
        return await self._readers.find(query)

    async def find_ids(self, wanted: JobFilter, *, after: int, last: int, limit: int) -> IdPage:
        """See Store.find_ids."""
        return await self._readers.find_ids(wanted, after=after, last=last, limit=limit)

    async def ahead(self, record: JobRecord, limit: int) -> int:
        """See Store.ahead."""
        return await self._readers.ahead(record, limit)

    async def last_id(self) -> int:
        """See Store.last_id: the writer keeps it."""
        return self._writer.session.last_id

    async def add_operation(self, operation: NewOperation) -> int:
        """See Store.add_operation."""
        return await self._call(lambda session: insert_operation(session, operation))

    async def operation(self, operation_id: int) -> Operation | None:
        """See Store.operation."""
        return await self._readers.operation(operation_id)

    async def operations(self, before_id: int, limit: int) -> Sequence[Operation]:
        """See Store.operations."""
        return await self._readers.operations(before_id, limit)

    async def open_operations(self) -> Sequence[Operation]:
        """See Store.open_operations."""
        return await self._readers.open_operations()

    async def attempts(self, job_id: int) -> Sequence[Attempt]:
        """See Store.attempts."""
        return await self._readers.attempts(job_id)

    async def output(self, job_id: int, number: int | None = None) -> Output | None:
        """See Store.output."""
        return await self._readers.output(job_id, number)

    async def secrets(self) -> Sequence[KeptSecret]:
        """See SecretStore.secrets."""
        return await self._readers.secrets()

    async def put_secret(self, secret: NewSecret) -> int:
        """See SecretStore.put_secret."""
        return await self._call(lambda session: put_secret(session, secret))

    async def delete_secret(self, kind: Kind, name: str) -> int:
        """See SecretStore.delete_secret."""
        return await self._call(lambda session: delete_secret(session, kind, name))

    async def reseal_secrets(self, sealed: Mapping[int, str]) -> None:
        """See SecretStore.reseal_secrets."""
        await self._call(lambda session: reseal_secrets(session, sealed))

    async def add_token(self, token: NewToken) -> int | None:
        """See TokenStore.add_token."""
        return await self._call(lambda session: insert_token(session, token))

    async def tokens(self) -> Sequence[Token]:
        """See TokenStore.tokens."""
        return await self._readers.tokens()

    async def rotate_token(self, token_id: int, digest: bytes, old_until: int) -> bool:
        """See TokenStore.rotate_token."""
        return await self._call(lambda session: session.run("rotate_token", token_id, digest, old_until) == 1)

    async def revoke_token(self, token_id: int, now: int) -> bool:
        """See TokenStore.revoke_token."""
        return await self._call(lambda session: session.run("revoke_token", token_id, now) == 1)

    async def note_used(self, times: Mapping[int, int]) -> None:
        """See TokenStore.note_used."""
        await self._call(lambda session: note_used(session, times))

    async def add_act(self, act: Act) -> None:
        """See AuditStore.add_act."""
        await self._call(lambda session: session.run("insert_act", *row_of_act(act)))

    async def acts(self, before_id: int, limit: int) -> Sequence[Act]:
        """See AuditStore.acts."""
        return await self._readers.acts(before_id, limit)

    async def purge_acts(self, before: int, limit: int) -> int:
        """See AuditStore.purge_acts."""
        return await self._call(lambda session: session.run("purge_acts", before, limit))

    def on_arrival(self, listener: ArrivalListener) -> None:
        """See Store.on_arrival."""
        self._writer.on_arrival(listener)

    def on_cancel(self, listener: CancelListener) -> None:
        """See Store.on_cancel."""
        self._cancel_listeners.append(listener)

    def on_end(self, waited: Callable[[], Collection[int]], listener: Callable[[int], None]) -> None:
        """See Store.on_end. There is no other node."""

    def on_kept(self, listener: Callable[[], None]) -> None:
        """See Store.on_kept. There is no other node."""

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
