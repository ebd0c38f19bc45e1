"""Inserting jobs, with and without idempotency keys, inside a transaction."""

from collections.abc import Mapping, Sequence

from queue_server.domain.job import NewJob, Once
from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.faults import DUPLICATE, Contended, number_of
from queue_server.store.mysql.transaction import Transaction
from queue_server.store.once import Key, KnownKey, digest_of, key_of, keys_of
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import job_row


async def insert_jobs(transaction: Transaction, jobs: Sequence[NewJob]) -> list[int]:
    """Add jobs and return their ids."""
    if not jobs:
        return []
    ids = await transaction.bulk("insert_jobs", [job_row(0, job)[1:] for job in jobs])
    await transaction.bulk("insert_payloads", [(id_, job.payload) for id_, job in zip(ids, jobs, strict=True)])
    tags = [(*tag, id_) for id_, job in zip(ids, jobs, strict=True) if job.tags for tag in job.tags.items()]
    await transaction.bulk("insert_tags", tags)
    for job in jobs:
        transaction.count(job.state, 1)
        transaction.arrive(job.state, job.run_at)
    return ids


async def load_once(transaction: Transaction, jobs: Sequence[NewJob]) -> Mapping[Key, KnownKey]:
    """Those keys of jobs that are kept."""
    hashes = {digest_of(key): key for key in keys_of(jobs)}
    found = await transaction.rows("load_once", listed([hash_.hex() for hash_ in hashes]))
    return {hashes[hash_]: KnownKey(job_id, fingerprint, bool(there)) for hash_, job_id, fingerprint, there in found}


async def insert_once(transaction: Transaction, kept: Sequence[tuple[Once, int]]) -> None:
    """Keep the keys of new jobs. In the order of their hashes: two that keep the same ones wait for each other once."""
    try:
        await transaction.bulk("insert_once", sorted(_once_row(once, job_id) for once, job_id in kept))
    except Exception as error:
        if number_of(error) == DUPLICATE:
            raise Contended from None
        raise


def _once_row(once: Once, job_id: int) -> Row:
    return digest_of(key_of(once)), once.fingerprint, job_id, once.until
