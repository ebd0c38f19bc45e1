"""Adds jobs, and ends some, as fast as it can until it is killed. Prints each fact only once the store has said so.

Usage: works_until_killed.py DATABASE [--acknowledge-before-commit]

With the planted bug it commits only one transaction in fifty, and says that all are durable.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from queue_server.clock import SystemClock
from queue_server.store.sqlite.session import Session
from queue_server.store.sqlite.store import SqliteStore
from tests.builders.jobs import HTTP, NOW, decided, new_job
from tests.builders.stores import claim

Fact = tuple[str, int]


def say(facts: list[Fact]) -> None:
    os.write(1, "".join(f"{word} {job_id}\n" for word, job_id in facts).encode())


async def add(store: SqliteStore) -> None:
    while True:
        say([("added", job_id) for job_id in await store.add([new_job(callback_done=HTTP)] * 3)])


async def work(store: SqliteStore, node: Any) -> None:
    while True:
        jobs = await claim(store, node)
        applied = (await store.turn([decided(job) for job in jobs], None)).applied
        say([("ended", job.id) for job, is_applied in zip(jobs, applied, strict=True) if is_applied])


async def main(database: Path) -> None:
    store = SqliteStore(database, SystemClock(), asyncio.get_running_loop())
    node = await store.register("here", 1, NOW)
    await asyncio.gather(add(store), add(store), add(store), work(store, node))


def plant_acknowledge_before_commit() -> None:
    begin, commit = Session.begin, Session.commit
    groups = 0

    def begin_or_go_on(session: Session) -> None:
        if not session._database.in_transaction:
            begin(session)

    def commit_sometimes(session: Session) -> None:
        nonlocal groups
        groups += 1
        if groups % 50 == 1:
            commit(session)

    Session.begin, Session.commit = begin_or_go_on, commit_sometimes


if __name__ == "__main__":
    if "--acknowledge-before-commit" in sys.argv:
        plant_acknowledge_before_commit()
    asyncio.run(main(Path(sys.argv[1])))
