"""Bugs to plant in a server on PostgreSQL."""

import asyncio
from collections.abc import Sequence
from typing import Any

from queue_server.engine import lease
from queue_server.store.postgres import adding
from queue_server.store.postgres.adding import Add
from queue_server.store.postgres.session import Session
from queue_server.store.postgres.statements import QUERIES
from tests.chaos.planting import break_query

COMMIT_LATE_S = 0.3


def acknowledge_before_commit() -> None:
    """Answers go out before the transaction of their jobs is committed."""
    store = adding._store

    async def answer_first(session: Session, group: Sequence[Add]) -> Any:
        async def work(inner: Session) -> Any:
            stored = await store(inner, group)
            adding._settle(group, stored[0])
            await asyncio.sleep(COMMIT_LATE_S)
            return stored

        return await session.transaction(work)

    adding._store = answer_first


def rescue_while_running() -> None:
    """The rescuer takes any running job, also those of nodes that live."""
    break_query(
        QUERIES,
        "expired",
        "and not exists (select 1 from node where node.id = job.node_id and node.beat_at >= $1)",
        "and $1::bigint > 0",
    )


def no_fence() -> None:
    """An end is written whoever has the job by then."""
    fence = "and job.state = change.from_state and job.claim_seq = change.claim_seq"
    break_query(QUERIES, "finish_all", fence, "")
    break_query(
        QUERIES,
        "finish_all",
        "from applied where outcome is not null",
        "from applied where outcome is not null on conflict do nothing",
    )


def work_without_lease() -> None:
    """A node never finds that its lease is over."""
    lease.HELD_S = 86_400.0
