"""A store with rows of every kind, and all that a database holds, to be compared."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from queue_server.domain.access import Right
from queue_server.domain.audit import Act
from queue_server.domain.job import NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import OutcomeKind, Output
from queue_server.domain.tokens import NewToken
from queue_server.store.contract import Claim, JobFilter, NewOperation, Store
from queue_server.store.keeping import NewSecret
from queue_server.store.moving import ONCE, TABLES
from queue_server.store.once import digest_of
from queue_server.store.open_moving import open_export
from queue_server.store.rows import Row
from tests.builders.jobs import DAY, EXEC, NOW, decided, new_job, once
from tests.builders.stores import ALL_SLOTS

HOSTILE = "ä\u2028'\"\\%_🙂\x7f"
OUTPUT = Output(
    text=bytes(range(256)) * 4, error_text=b"\xff\x00", head=b"HTTP/1.1 200 OK\r\n", size=2000, error_size=2
)


async def fill(store: Store, jobs: int = 40) -> None:
    """Jobs of all states with attempts, tags and keys, tokens, secrets, operations and acts."""
    await store.add([_job(number) for number in range(jobs)])
    await store.add_once([new_job(once=once(f"key {HOSTILE}")), new_job(once=once("key\x001", scope="7"))])
    node = await store.register("web1", 10, NOW)
    claimed = (await store.turn([], Claim(node.id, ALL_SLOTS, NOW))).claimed.jobs
    ends = [*OutcomeKind]
    changes: list[Transition] = [
        decided(job, ends[number % 4], output=OUTPUT, error=None if number % 2 else f"it is {HOSTILE}")
        for number, job in enumerate(claimed[: len(claimed) // 2])
    ]
    await store.turn(changes, None)
    token = NewToken(name="app", digest=b"\x00\xff" * 16, scopes=(Right.ADD,), created_at=NOW)
    token_id = await store.add_token(token)
    assert token_id
    await store.rotate_token(token_id, b"\x01" * 32, NOW + DAY)
    secret = NewSecret(name="api", kind="value", sealed="sealed.text", created_at=NOW, old_until=NOW)
    await store.put_secret(secret)
    await store.add_operation(
        NewOperation(
            action="cancel", filter=JobFilter(), reason="r", changes="{}", last_id=3, matched=3, created_at=NOW
        )
    )
    act = Act(at=NOW, who="me", token_id=1, address="::1", action="a", target=HOSTILE, count=None, details="{}")
    await store.add_act(act)


def _job(number: int) -> NewJob:
    members: dict[str, Any] = {
        "priority": number * 7 % 1000,
        "context": f"app {number % 3}",
        "tags": {"n": str(number)},
    }
    if number % 5 == 0:
        return new_job(EXEC, delay=DAY if number % 2 else 0, key=HOSTILE, **members)
    return new_job(**members)


async def dump(db: str) -> Mapping[str, Sequence[Row]]:
    """Every row of every table."""
    export = await open_export(db)
    try:
        found: dict[str, Sequence[Row]] = {}
        for table in TABLES:
            rows: list[Row] = []
            while page := await export.page(table, table.key_of(rows[-1]) if rows else None):
                rows += page
            found[table.name] = sorted(map(_with_digest, rows) if table is ONCE else rows, key=repr)
        return found | {"next": [tuple((await export.next_ids()).values())]}
    finally:
        await export.close()


def _with_digest(row: Row) -> Row:
    """An idempotency key as other databases keep it."""
    scope, key, *facts = row
    return (None, key if scope is None else digest_of((scope, key)), *facts)


def dumped(db: str) -> Mapping[str, Sequence[Row]]:
    """The same, without an event loop."""
    return asyncio.run(dump(db))
