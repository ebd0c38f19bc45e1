"""How long claims take beside a backlog, through the store: claims of 1 and of 100 jobs in turns.

Arguments: the database as the setting `db` names it (PostgreSQL or MariaDB, empty), jobs that wait, jobs that become
due tomorrow at the highest priority, claims. Prints the milliseconds of each claim as a JSON list. What is claimed is
ended before the next claim.
"""

import sys
import time
from urllib.parse import urlsplit

import asyncmy
import asyncpg
import msgspec
import uvloop

from queue_server.clock import ServerClock
from queue_server.config.settings import Settings
from queue_server.domain.lifecycle import Moment, decide
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.store.contract import Claim, Slots
from queue_server.store.open import open_store
from tests.performance.databases import is_postgres

PLAN = b'{"command":{"type":"http","url":"http://127.0.0.1:9/","method":"POST"}}'
DAY_US = 86_400_000_000
SIZES = (1, 100)

POSTGRES = """
insert into job (id, state, type, rank, run_at, context, created_at, queue)
select nextval('job_id'), '{state}', 'http', {rank}, {run_at} + n, 'default', {now}, 'default'
from generate_series(1, {count}) n
"""
MARIADB = """
insert into job (state, type, `rank`, run_at, context, created_at, queue)
select '{state}', 'http', {rank}, {run_at} + seq, 'default', {now}, 'default' from seq_1_to_{count}
"""
PLANS = "insert into payload (job_id, plan) select id, '{plan}' from job"
TALLY = "insert into tally (state, `change`) values ('available', {waiting}), ('scheduled', {later})"


async def fill(url: str, waiting: int, later: int) -> None:
    """Fill the migrated, empty database by SQL."""
    now = ServerClock().now()
    insert = POSTGRES if is_postgres(url) else MARIADB
    statements = [
        insert.format(state="available", rank=500, run_at=now - DAY_US, now=now, count=waiting),
        insert.format(state="scheduled", rank=0, run_at=now + DAY_US, now=now, count=later),
        PLANS.format(plan=PLAN.decode()),
        TALLY.format(waiting=waiting, later=later),
    ]
    if is_postgres(url):
        connection = await asyncpg.connect(url)
        for statement in [*(text.replace("`", "") for text in statements), "vacuum analyze job"]:
            await connection.execute(statement)
        await connection.close()
        return
    parts = urlsplit(url)
    connection = await asyncmy.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or "",
        db=parts.path.strip("/"), autocommit=True,
    )  # fmt: skip
    async with connection.cursor() as cursor:
        for statement in [*statements, "analyze table job"]:
            await cursor.execute(statement)
    connection.close()


async def measure(url: str, waiting: int, later: int, count: int) -> list[float]:
    clock = ServerClock()
    store = await open_store(Settings(db=url), clock)
    await fill(url, waiting, later)
    node = await store.register("claims", 100, clock.now())
    taken: list[float] = []
    for number in range(count):
        size = SIZES[number % len(SIZES)]
        begin = time.monotonic()
        turn = await store.turn((), Claim(node.id, Slots(total=size, http=size, exec=size), clock.now()))
        taken.append(1000 * (time.monotonic() - begin))
        if len(turn.claimed.jobs) != size:
            raise SystemExit(f"claimed {len(turn.claimed.jobs)} of {size}")
        moment, done = Moment(clock.now(), clock.now()), Outcome(OutcomeKind.SUCCEEDED)
        await store.turn([decide(job, done, moment) for job in turn.claimed.jobs], None)
    await store.close()
    return taken


if __name__ == "__main__":
    url, waiting, later, count = sys.argv[1], *map(int, sys.argv[2:5])
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(url, waiting, later, count))) + b"\n")
