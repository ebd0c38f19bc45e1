"""The bare limit of a database server: its driver with two connections, without anything of ours around it.

Arguments: the database's URL, `inserts` or `claims`, seconds. The payload comes on stdin. Hands in the rows inserted,
in transactions of 100; or the jobs claimed and ended, 100 ended and 100 claimed in each transaction.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import chain
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncmy
import asyncpg
import uvloop

from tests.performance.databases import is_postgres
from tests.performance.work import Work, hand_in

BATCH = 100
CONNECTIONS = 2
STOCK = 100_000
"""Rows that are there to be claimed: more than are claimed in the time."""


class Bare(Protocol):
    """A connection with the few statements of a queue."""

    async def make_table(self) -> None: ...

    async def insert(self, payloads: Sequence[bytes]) -> None: ...

    async def turn(self, ended: Sequence[int]) -> list[int]: ...


class Postgres:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def make_table(self) -> None:
        await self._connection.execute(
            """create table if not exists bare (id bigint generated always as identity primary key, state text not null,
            rank int not null, run_at bigint not null, payload bytea not null);
            create index if not exists bare_claim on bare (rank, run_at, id) where state = 'available'"""
        )

    async def insert(self, payloads: Sequence[bytes]) -> None:
        query = (
            "insert into bare (state, rank, run_at, payload) select 'available', 500, 0, p from unnest($1::bytea[]) p"
        )
        await self._connection.execute(query, payloads)

    async def turn(self, ended: Sequence[int]) -> list[int]:
        async with self._connection.transaction():
            await self._connection.execute("update bare set state = 'completed' where id = any($1::bigint[])", ended)
            rows = await self._connection.fetch(
                """with first as materialized (select id from bare where state = 'available' order by rank, run_at, id
                limit $1 for update skip locked)
                update bare set state = 'running' from first where bare.id = first.id returning bare.id, payload""",
                BATCH,
            )
        return [row[0] for row in rows]


class Mysql:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def make_table(self) -> None:
        await self._run(
            """create table if not exists bare (id bigint auto_increment primary key, state char(9) character set ascii
            not null, rank_ int not null, run_at bigint not null, payload longblob not null,
            key bare_claim (state, rank_, run_at, id)) engine=innodb"""
        )
        await self._connection.commit()

    async def insert(self, payloads: Sequence[bytes]) -> None:
        rows = ",".join(["('available', 500, 0, %s)"] * len(payloads))
        await self._run(f"insert into bare (state, rank_, run_at, payload) values {rows}", payloads)
        await self._connection.commit()

    async def turn(self, ended: Sequence[int]) -> list[int]:
        if ended:
            await self._run(f"update bare set state = 'completed' where id in ({_marks(ended)})", ended)
        rows = await self._run(
            f"""select id, payload from bare force index (bare_claim) where state = 'available'
            order by rank_, run_at, id limit {BATCH} for update skip locked"""
        )
        ids = [row[0] for row in rows]
        if ids:
            await self._run(f"update bare set state = 'running' where id in ({_marks(ids)})", ids)
        await self._connection.commit()
        return ids

    async def _run(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        async with self._connection.cursor() as cursor:
            await cursor.execute(query, tuple(values) or None)
            return list(await cursor.fetchall()) if cursor.description else []


def _marks(values: Sequence[Any]) -> str:
    return ",".join(["%s"] * len(values))


async def connect(url: str) -> Bare:
    if is_postgres(url):
        return Postgres(await asyncpg.connect(url))
    parts = urlsplit(url)
    connection = await asyncmy.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        db=parts.path.strip("/"),
        init_command="set session transaction isolation level read committed",
    )
    return Mysql(connection)


async def insert(bare: Bare, payload: bytes, end: float) -> int:
    rows = 0
    while time.monotonic() < end:
        await bare.insert([payload] * BATCH)
        rows += BATCH
    return rows


async def claim(bare: Bare, end: float) -> int:
    jobs, ended = 0, list[int]()
    while time.monotonic() < end:
        ended = await bare.turn(ended)
        jobs += len(ended)
    return jobs


async def measure(url: str, what: str, seconds: float, payload: bytes) -> Work:
    connections = [await connect(url) for _ in range(CONNECTIONS)]
    await connections[0].make_table()
    if what == "claims":
        for _ in range(STOCK // 1000):
            await connections[0].insert([payload] * 1000)
    begin, cpu = time.monotonic(), time.process_time()
    works = [
        insert(one, payload, begin + seconds) if what == "inserts" else claim(one, begin + seconds)
        for one in connections
    ]
    amounts = await asyncio.gather(*works)
    return Work(amount=sum(chain(amounts)), seconds=time.monotonic() - begin, cpu_s=time.process_time() - cpu)


if __name__ == "__main__":
    url, what, seconds = sys.argv[1:4]
    hand_in(uvloop.run(measure(url, what, float(seconds), sys.stdin.buffer.read())))
