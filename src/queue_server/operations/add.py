"""Accepting jobs: defaults, policy, idempotency keys, and the promise that they are durable."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import UNSET

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.domain.access import EVERYBODY, Access
from queue_server.domain.composing import Defaults, compose_plan, compose_row, fingerprint, without_secrets
from queue_server.domain.errors import InvalidJob, KeyMismatch, Problem, StoreUnavailable
from queue_server.domain.job import JobRecord, JobRequest, NewJob, Once, Plan
from queue_server.domain.retry import Retry
from queue_server.domain.secret import Sealer
from queue_server.domain.state import State
from queue_server.operations.binding import Admission, admission
from queue_server.operations.policy import Policy
from queue_server.store.contract import Store
from queue_server.telemetry.job_events import JobEvents

SECOND = 1_000_000
FULL_RETRY_AFTER_S = 10
SPARE_MOST = 1000
"""Single jobs that are accepted between two looks at how many wait; fewer, half of what is left, when it gets tight."""

ACCESSES_KEPT = 1024
"""Tokens for which it is remembered what they may add."""

TURN_ROWS = 500
"""Rows of a batch that are made before the event loop's others have their turn: a millisecond's work."""

_encode = msgspec.json.Encoder().encode


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


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A job of a batch that is still being read: a row without its idempotency key, and what stands for it."""

    row: NewJob
    key: str | None = None
    fingerprint: bytes = b""


class AddJob:
    """Accepts jobs while the server takes them."""

    def __init__(
        self, store: Store, settings: Settings, policy: Policy, *, clock: Clock, events: JobEvents, sealer: Sealer
    ) -> None:
        self._store = store
        self._settings = settings
        self._policy = policy
        self._defaults = defaults_of(settings, sealer)
        self._admission_of = lru_cache(ACCESSES_KEPT)(self._admission)
        self._clock = clock
        self._events = events
        self._per_context = settings.max_waiting_per_context
        self._keep_keys = round(settings.retention_keys * SECOND)
        self._spare = 0
        self.is_closed = False

    async def __call__(self, request: JobRequest, access: Access, key: str | None = None) -> Accepted:
        """Store the job; it is durable when this returns. `key` is the idempotency key of the request's header.

        InvalidJob when header and member differ; NotAllowed when a setting or the token forbids it; KeyMismatch or
        JobDeleted when the key stands for another job, or for one that is gone; StoreUnavailable when the server is
        stopping, the queue is full, or the store can't be written: then nothing was stored.
        """
        defaults = self._admit(request, access)
        if self._spare <= 0 or self.is_closed:
            await self.check_room(access)
        self._spare -= 1
        if self._per_context:
            await self._check_contexts(access, defaults.context if request.context is UNSET else request.context)
        now = self._clock.now()
        plan = compose_plan(request, defaults, now, access.token_id)
        if key is None and request.idempotency_key is None:
            row = compose_row(request, plan, defaults, now)
            (job_id,) = await self._store.add((row,))
            if self._events.is_heard:
                self._events.added(job_id, row)
            return Accepted(job_id, row, plan)
        once = self._once(_one_key(key, request.idempotency_key), fingerprint(request), access, now)
        row = compose_row(request, plan, defaults, now, once)
        added = await self._store.add_once((row,))
        if not added.replayed:
            self._events.added(added.ids[0], row)
        return Accepted(added.ids[0], row, plan, bool(added.replayed))

    def draft(self, request: JobRequest, access: Access, *, is_keyed: bool) -> Draft:
        """A job of a batch, checked. `is_keyed` says that the batch has an idempotency key; see `add_batch`."""
        defaults = self._admit(request, access)
        now = self._clock.now()
        plan = compose_plan(request, defaults, now, access.token_id)
        row = compose_row(request, plan, defaults, now)
        if is_keyed:
            return Draft(row, None, _written(request))
        if request.idempotency_key is None:
            return Draft(row)
        return Draft(row, request.idempotency_key, fingerprint(request))

    async def add_batch(self, drafts: Sequence[Draft], access: Access, key: str | None = None) -> AcceptedBatch:
        """Store all of them or none, durably. `key` stands for the whole batch; errors are those of a single job."""
        await self.check_room(access, len(drafts))
        if self._per_context:
            await self._check_contexts(access, *[draft.row.context for draft in drafts])
        if key is None and not any(draft.key for draft in drafts):
            rows = [draft.row for draft in drafts]
            ids = await self._store.add(rows)
            if self._events.is_heard:
                self._tell(ids, rows)
            return AcceptedBatch(ids, 0)
        rows = await self._keyed_rows(drafts, access, key)
        try:
            added = await self._store.add_once(rows)
        except KeyMismatch as error:
            raise KeyMismatch(key or error.key, error.job_id) from None
        if self._events.is_heard:
            new = [place for place in range(len(rows)) if place not in added.replayed]
            self._tell([added.ids[place] for place in new], [rows[place] for place in new])
        return AcceptedBatch(added.ids, len(added.replayed))

    def _admit(self, request: JobRequest, access: Access) -> Defaults:
        """What applies to a job that may be added; NotAllowed or InvalidJob if it may not."""
        defaults = self._defaults
        if access is not EVERYBODY:
            admission = self._admission_of(access)
            admission.check(request)
            defaults = admission.defaults
        self._policy.check(request, access.token_id)
        return defaults

    def _admission(self, access: Access) -> Admission:
        return admission(access, self._defaults)

    def _tell(self, ids: Sequence[int], rows: Sequence[NewJob]) -> None:
        """All at once: an event of a job's start must not come before that of its arrival."""
        for job_id, row in zip(ids, rows, strict=True):
            self._events.added(job_id, row)

    async def check_room(self, access: Access, more: int = 1) -> None:
        """StoreUnavailable if the server is stopping or so many more jobs are too many."""
        if self.is_closed:
            raise StoreUnavailable("the server is stopping", retry_after=FULL_RETRY_AFTER_S)
        counts = await self._store.counts()
        waiting = counts[State.SCHEDULED] + counts[State.AVAILABLE]
        if waiting + more > self._settings.max_waiting:
            many = "too many" if access.is_bound else waiting
            raise StoreUnavailable(
                f"the queue is full: {many} jobs wait (setting max_waiting)",
                retry_after=FULL_RETRY_AFTER_S,
            )
        self._spare = min((self._settings.max_waiting - waiting - more) // 2, SPARE_MOST)

    async def _check_contexts(self, access: Access, *contexts: str) -> None:
        """StoreUnavailable if so many more jobs of these contexts are too many."""
        for context, more in Counter(contexts).items():
            waiting = await self._store.waiting_in(context, self._per_context)
            if waiting + more > self._per_context:
                many = waiting if access.queues is None else "too many"
                raise StoreUnavailable(
                    f"the context {context} is full: {many} of its jobs wait (setting max_waiting_per_context)",
                    retry_after=FULL_RETRY_AFTER_S,
                )

    async def _keyed_rows(self, drafts: Sequence[Draft], access: Access, key: str | None) -> list[NewJob]:
        """The rows with their idempotency keys: their own, or for a batch with a key, the batch's with their place."""
        now = self._clock.now()
        whole = b"" if key is None else _digest_of(drafts)
        rows: list[NewJob] = []
        for place, draft in enumerate(drafts):
            once = None
            if key is not None:
                once = self._once(f"{key}\0{place}", whole, access, now)
            elif draft.key is not None:
                once = self._once(draft.key, draft.fingerprint, access, now)
            rows.append(draft.row if once is None else msgspec.structs.replace(draft.row, once=once))
            if place % TURN_ROWS == TURN_ROWS - 1:
                await asyncio.sleep(0)
        return rows

    def _once(self, key: str, fingerprint: bytes, access: Access, now: int) -> Once:
        """The key of one token, which never meets those of others, and stays when the token gets a new secret."""
        scope = "" if access.token_id is None else str(access.token_id)
        return Once(scope, key, fingerprint, now + self._keep_keys)


def defaults_of(settings: Settings, sealer: Sealer) -> Defaults:
    """What the settings say about jobs that leave it open, and what seals their secrets."""
    retry = Retry(
        max_attempts=settings.retry_max_attempts,
        backoff=settings.retry_backoff,
        min_delay=settings.retry_min_delay,
        max_delay=max(settings.retry_min_delay, settings.retry_max_delay),
        jitter=settings.retry_jitter,
    )
    return Defaults(settings.default_priority, settings.default_context, retry, sealer)


def _one_key(header: str | None, member: str | None) -> str:
    if header is not None and member is not None and header != member:
        path = "/idempotency_key"
        raise InvalidJob([Problem(path, "differs from the header Idempotency-Key; give one of them")])
    return header if header is not None else member or ""


def _written(request: JobRequest) -> bytes:
    """What tells a job of a batch from another one: a batch is sent again as it was, to the order of its members."""
    return hashlib.blake2b(_encode(without_secrets(request)), digest_size=16).digest()


def _digest_of(drafts: Sequence[Draft]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for draft in drafts:
        digest.update(draft.fingerprint)
    return digest.digest()
