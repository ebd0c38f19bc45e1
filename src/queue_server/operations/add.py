"""Accepting jobs: defaults, policy, idempotency keys, and the promise that they are durable."""

import hashlib
from collections.abc import Sequence

import msgspec

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.domain.composing import Defaults, compose_plan, compose_row, fingerprint
from queue_server.domain.errors import InvalidJob, Problem, StoreUnavailable
from queue_server.domain.job import JobRecord, JobRequest, NewJob, Once, Plan
from queue_server.domain.retry import Retry
from queue_server.domain.state import State
from queue_server.operations.policy import Policy
from queue_server.store.contract import Store

SECOND = 1_000_000
FULL_RETRY_AFTER_S = 10
EVERYBODY = ""
"""The scope of idempotency keys where no token tells clients apart."""


class Accepted(msgspec.Struct, frozen=True):
    """A job that is stored. It `is_replayed` where its idempotency key was known: then it may have changed since."""

    id: int
    row: NewJob
    plan: Plan
    is_replayed: bool = False

    def record(self) -> JobRecord:
        """The job as it was when it was accepted; by now it may be running."""
        return JobRecord(
            id=self.id,
            state=self.row.state,
            priority=self.row.priority,
            run_at=self.row.run_at,
            context=self.row.context,
            attempt=0,
            claim_seq=0,
            node_id=None,
            created_at=self.row.created_at,
            claimed_at=None,
            ended_at=None,
            reason="",
            parent_id=None,
            plan=self.plan,
            queue=self.row.queue,
            key=self.row.key,
        )


class AcceptedBatch(msgspec.Struct, frozen=True):
    """Jobs that are stored: their ids in order, and how many of them had been there before."""

    ids: Sequence[int]
    replayed: int


class Draft(msgspec.Struct, frozen=True):
    """A job of a batch that is still being read: a row without its idempotency key, and what stands for it."""

    row: NewJob
    key: str | None
    fingerprint: bytes


class AddJob:
    """Accepts jobs while the server takes them."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._policy = Policy(settings)
        self._defaults = defaults_of(settings)
        self._clock = clock
        self._keep_keys = round(settings.retention_keys * SECOND)
        self.is_closed = False

    async def __call__(self, request: JobRequest, key: str | None = None) -> Accepted:
        """Store the job; it is durable when this returns. `key` is the idempotency key of the request's header.

        InvalidJob when header and member differ; NotAllowed when a setting forbids it; KeyMismatch or JobDeleted when
        the key stands for another job, or for one that is gone; StoreUnavailable when the server is stopping, the queue
        is full, or the store can't be written: then nothing was stored.
        """
        self._policy.check(request)
        await self.check_room()
        now = self._clock.now()
        plan = compose_plan(request, self._defaults, now)
        if key is None and request.idempotency_key is None:
            row = compose_row(request, plan, self._defaults, now)
            (job_id,) = await self._store.add((row,))
            return Accepted(job_id, row, plan)
        once = self._once(_one_key(key, request.idempotency_key), fingerprint(request), now)
        row = compose_row(request, plan, self._defaults, now, once)
        added = await self._store.add_once((row,))
        return Accepted(added.ids[0], row, plan, bool(added.replayed))

    def draft(self, request: JobRequest, *, is_keyed: bool) -> Draft:
        """A job of a batch, checked. `is_keyed` says that the batch has an idempotency key; see `add_batch`."""
        self._policy.check(request)
        now = self._clock.now()
        plan = compose_plan(request, self._defaults, now)
        mark = fingerprint(request) if is_keyed or request.idempotency_key is not None else b""
        return Draft(compose_row(request, plan, self._defaults, now), request.idempotency_key, mark)

    async def add_batch(self, drafts: Sequence[Draft], key: str | None = None) -> AcceptedBatch:
        """Store all of them or none, durably. `key` stands for the whole batch; errors are those of a single job."""
        await self.check_room(len(drafts))
        if key is None and not any(draft.key for draft in drafts):
            return AcceptedBatch(await self._store.add([draft.row for draft in drafts]), 0)
        rows = self._rows_of_batch(drafts, key)
        added = await self._store.add_once(rows)
        return AcceptedBatch(added.ids, len(added.replayed))

    async def check_room(self, more: int = 1) -> None:
        """StoreUnavailable if the server is stopping or so many more jobs are too many."""
        if self.is_closed:
            raise StoreUnavailable("the server is stopping", retry_after=FULL_RETRY_AFTER_S)
        counts = await self._store.counts()
        waiting = counts[State.SCHEDULED] + counts[State.AVAILABLE]
        if waiting + more > self._settings.max_waiting:
            raise StoreUnavailable(
                f"the queue is full: {waiting} jobs wait (setting max_waiting)",
                retry_after=FULL_RETRY_AFTER_S,
            )

    def _rows_of_batch(self, drafts: Sequence[Draft], key: str | None) -> list[NewJob]:
        """The rows with their idempotency keys: their own, or for a batch with a key, the batch's with their place."""
        now = self._clock.now()
        whole = _digest_of(drafts) if key is not None else b""
        rows: list[NewJob] = []
        for place, draft in enumerate(drafts):
            once = None
            if key is not None:
                once = self._once(f"{key}\0{place}", whole, now)
            elif draft.key is not None:
                once = self._once(draft.key, draft.fingerprint, now)
            rows.append(msgspec.structs.replace(draft.row, once=once))
        return rows

    def _once(self, key: str, fingerprint: bytes, now: int) -> Once:
        return Once(EVERYBODY, key, fingerprint, now + self._keep_keys)


def defaults_of(settings: Settings) -> Defaults:
    """What the settings say about jobs that leave it open."""
    retry = Retry(
        max_attempts=settings.retry_max_attempts,
        backoff=settings.retry_backoff,
        min_delay=settings.retry_min_delay,
        max_delay=max(settings.retry_min_delay, settings.retry_max_delay),
        jitter=settings.retry_jitter,
    )
    return Defaults(settings.default_priority, settings.default_context, retry)


def _one_key(header: str | None, member: str | None) -> str:
    if header is not None and member is not None and header != member:
        path = "/idempotency_key"
        raise InvalidJob([Problem(path, "differs from the header Idempotency-Key; give one of them")])
    return header if header is not None else member or ""


def _digest_of(drafts: Sequence[Draft]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for draft in drafts:
        digest.update(draft.fingerprint)
    return digest.digest()
