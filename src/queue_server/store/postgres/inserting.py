"""Inserting jobs, with and without idempotency keys, in one statement."""

from collections.abc import Iterable, Mapping, Sequence

from queue_server.domain.job import NewJob, Once
from queue_server.domain.state import State
from queue_server.store.once import Key, KnownKey, digest_of, key_of, keys_of
from queue_server.store.postgres.session import Session
from queue_server.store.postgres.statements import columns
from queue_server.store.rows.jobs import job_row

BEGINNING = 0


async def insert_jobs(session: Session, jobs: Sequence[NewJob], *, with_keys: bool = False) -> list[int]:
    """Add jobs, with their idempotency keys where they have one and these count; their ids."""
    if not jobs:
        return []
    rows = [(*job_row(0, job)[1:], job.payload) for job in jobs]
    tags = [(place, name, value) for place, job in enumerate(jobs, 1) for name, value in (job.tags or {}).items()]
    keys = [_once_row(place, job.once) for place, job in enumerate(jobs, 1) if with_keys and job.once is not None]
    keys.sort(key=lambda row: row[1])  # two that keep the same ones wait for each other once
    return await session.value("insert_jobs", *columns(rows, 11), *columns(tags, 3), *columns(keys, 4))


async def load_once(session: Session, jobs: Sequence[NewJob]) -> dict[Key, KnownKey]:
    """Those keys of jobs that are kept."""
    hashes = {digest_of(key): key for key in keys_of(jobs)}
    found = await session.rows("load_once", list(hashes)) if hashes else ()
    return {hashes[hash_]: KnownKey(job_id, fingerprint, is_there) for hash_, job_id, fingerprint, is_there in found}


def arrival_of(jobs: Iterable[NewJob]) -> int | None:
    """When the first of new jobs may run, None if none may."""
    return earliest((job.state, job.run_at) for job in jobs)


def earliest(waiting: Iterable[tuple[State, int]]) -> int | None:
    """When the first of jobs may run that are in these states: available ones have no time of their own."""
    times: Mapping[State, int] = {State.AVAILABLE: BEGINNING}
    found = [times.get(state, run_at) for state, run_at in waiting if state in (State.AVAILABLE, State.SCHEDULED)]
    return min(found, default=None)


def _once_row(place: int, once: Once) -> tuple[int, bytes, bytes, int]:
    return place, digest_of(key_of(once)), once.fingerprint, once.until
