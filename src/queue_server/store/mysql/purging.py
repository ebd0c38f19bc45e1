"""Deleting what is old, a page at a time, inside one transaction."""

from collections.abc import Mapping, Sequence

import msgspec

from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.limits import OPERATIONS_KEPT, PURGE_SLACK
from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.transaction import Transaction

BEGINNING = 0


class Purge(msgspec.Struct, frozen=True):
    """Deletes a page. Knows for each state up to where all is deleted.

    Jobs with their own retention stay where they are: of a million of them each page would otherwise read all.
    """

    clean_to: Mapping[State, int] = {}

    async def page(
        self, transaction: Transaction, ended_before: Mapping[State, int], now: int, limit: int
    ) -> tuple[int, "Purge"]:
        """See Store.purge: how much was deleted, and what deletes the next page once this one is committed."""
        deleted, clean_to = 0, dict(self.clean_to)
        for state, before in ended_before.items():
            start = clean_to.get(state, BEGINNING)
            found = await transaction.rows("purgeable", state, start, before, limit - deleted)
            await delete_jobs(transaction, [job_id for (job_id,) in found], state)
            deleted += len(found)
            if deleted < limit:
                clean_to[state] = max(BEGINNING, before - PURGE_SLACK)
        deleted += await _purge_kept(transaction, now, limit - deleted)
        deleted += await transaction.run("delete_once", now, limit - deleted)
        deleted += await transaction.run("delete_operations", now - OPERATIONS_KEPT, limit - deleted)
        return deleted, Purge(clean_to)


async def delete_jobs(transaction: Transaction, job_ids: Sequence[int], state: State) -> None:
    """Delete jobs, which are all in `state`, with all that belongs to them."""
    if not job_ids:
        return
    ids = listed(sorted(job_ids))
    for query in ("delete_jobs", "delete_attempts", "delete_payloads", "delete_tags"):
        await transaction.run(query, ids)
    transaction.count(state, -len(job_ids))


async def _purge_kept(transaction: Transaction, now: int, limit: int) -> int:
    """Jobs whose own retention is over."""
    found = await transaction.rows("kept_too_long", now, limit)
    for state in FINAL_STATES:
        await delete_jobs(transaction, [job_id for job_id, its_state in found if its_state == state], state)
    return len(found)
