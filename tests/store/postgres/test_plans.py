"""What is asked all the time walks an index in its order, however many jobs there are."""

import re

import pytest

from queue_server.domain.outcome import SUCCEEDED
from queue_server.store.postgres.address import parse_address
from queue_server.store.postgres.session import PLAIN, READING, UPKEEP, WRITING, connect
from queue_server.store.postgres.statements import QUERIES, columns
from queue_server.store.postgres.turns import FINISH_COLUMNS, _row
from tests.builders.jobs import DAY, EXEC, NOW, decided, new_job
from tests.builders.stores import claim

MANY = 3000


async def fill(store, node) -> None:
    """Thousands of jobs in each state that matters."""
    await store.add([new_job(priority=900) for _ in range(MANY // 4)])
    for _ in range(3):
        await claim(store, node)
    await store.add([new_job(EXEC) for _ in range(MANY // 4)])
    await store.add([new_job(priority=n % 7, overdue_at=NOW + DAY) for n in range(MANY)])
    await store.add([new_job(delay=DAY + n) for n in range(MANY)])


async def plan(url, settings, name, *values) -> str:
    """How a query is carried out on a session with these settings."""
    session = await connect(parse_address(url), settings)
    try:
        rows = await session.rows_of(f"explain (analyze, costs off, timing off, summary off) {QUERIES[name]}", values)
        return "\n".join(row[0] for row in rows)
    finally:
        await session.close()


async def analyze(url) -> None:
    session = await connect(parse_address(url), PLAIN)
    await session.script("analyze")
    await session.close()


def rows_read(text: str) -> int:
    """The most rows that one step has looked at."""
    return max(int(rows) for rows in re.findall(r"(?:rows=|Removed by Filter: )(\d+)", text))


@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_each_query_walks_its_index(store, node, backend, is_analyzed):
    await fill(store, node)
    if is_analyzed:
        await analyze(backend.url)
    jobs = await claim(store, node)
    ends = columns([_row(decided(job, SUCCEEDED)) for job in jobs[:10]], FINISH_COLUMNS)
    wanted = (
        (WRITING, "claim", (10, 10, 10, 10**6, NOW, node.id, False, -1, 0, 0), "job_claim"),
        (WRITING, "promote", (NOW + DAY + 9, 10), "job_due"),
        (WRITING, "finish_all", ends, "job_(pkey|state)"),
        (READING, "expired", (NOW + DAY, 10), "job_running"),
        (READING, "overdue", (NOW + DAY, 10), "job_overdue"),
        (UPKEEP, "look", (node.id, NOW, []), "job_wished"),
    )
    for settings, name, values, index in wanted:
        text = await plan(backend.url, settings, name, *values)
        assert re.search(f"using {index} on job", text), text
        assert "Seq Scan on job" not in text, text
        assert rows_read(text) <= 30, text


async def test_fold_reads_the_tally_only_and_leaves_a_row_for_each_state(store, node, backend):
    for n in range(50):
        await store.add([new_job(delay=n % 2)])
    await claim(store, node)
    text = await plan(backend.url, UPKEEP, "fold")
    assert "job" not in text
    assert await store.counts() == backend.recount()
    assert backend._number("select count(*) from tally") <= 3
