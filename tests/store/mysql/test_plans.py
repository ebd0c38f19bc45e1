"""Every query of the hot path walks one index and sorts nothing, however many jobs there are."""

import asyncio

import pytest

from queue_server.domain.outcome import OutcomeKind
from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.transaction import QUERIES
from tests.builders.jobs import NOW, SECOND, decided, new_job
from tests.builders.mysql_backend import MysqlBackend
from tests.builders.stores import claim
from tests.support.databases import run_sql

IDS = listed([1, 2, 3])
WALKS = [
    ("claimable", (NOW, 1, NOW, "http", 100), "job", "job_claim"),
    ("due", (NOW + 5000 * SECOND, 100), "job", "job_due"),
    ("next_due", (), "job", "job_due"),
    ("claim", (IDS, 1, NOW, NOW), "job", "PRIMARY"),
    ("promote", (IDS,), "job", "PRIMARY"),
    ("plans", (IDS,), "payload", "PRIMARY"),
    ("lock_jobs", (IDS,), "job", "PRIMARY"),
    ("finish", (listed([[1, "completed", NOW, NOW, 0, 0, "", None, None, None]]),), "job", "PRIMARY"),
    ("expired", (NOW, 100), "job", "job_state"),
    ("overdue", (NOW + 5000 * SECOND, 100), "job", "job_overdue"),
    ("take_tally", (100,), "tally", "PRIMARY"),
    ("delete_tally", (IDS,), "tally", "PRIMARY"),
    ("wishes", (1,), "job", "job_wished"),
    ("unended", (IDS,), "job", "PRIMARY"),
    ("look", (1, NOW), "job", "job_due"),
    ("purgeable", ("completed", 0, NOW, 100), "job", "job_ended"),
    ("kept_too_long", (NOW, 100), "job", "job_kept"),
    ("delete_jobs", (IDS,), "job", "PRIMARY"),
    ("delete_tags", (IDS,), "tag", "tag_job"),
    ("get", (1,), "job", "PRIMARY"),
    ("get_many", (IDS,), "job", "PRIMARY"),
    ("load_once", (listed(["00" * 32]),), "once", "PRIMARY"),
    ("ahead", ("http", 500, 9, "http", 500, NOW, 9, "http", 500, NOW, 5, 9), "job", "job_claim"),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A database with thousands of jobs in every state."""
    backend = MysqlBackend(tmp_path_factory.mktemp("plans"))
    asyncio.run(_fill(backend))
    tables = ("job", "payload", "attempt", "tag", "once", "tally", "node")
    run_sql(backend.url, *(f"analyze table {table}" for table in tables))
    return backend


async def _fill(backend: MysqlBackend) -> None:
    store = await backend.open()
    node = await store.register("n", 500, NOW)
    overdue = [new_job(expires_at=NOW + n * SECOND, tags={"a": str(n)}) for n in range(1000)]
    await store.add([*overdue, *(new_job(delay=n * SECOND) for n in range(1000)), *(new_job() for _ in range(1000))])
    jobs = [*await claim(store, node), *await claim(store, node)]
    await store.turn(
        [decided(job, (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED)[job.id % 2]) for job in jobs[:300]], None
    )
    await store.close()


@pytest.mark.parametrize(("name", "values", "table", "index"), WALKS, ids=[walk[0] for walk in WALKS])
async def test_query_walks_its_index_and_sorts_nothing(filled, name, values, table, index):
    async with filled.connection() as connection:
        plan = await connection.rows(f"explain {QUERIES[name]}", values)
    steps = [step for step in plan if step[2] == table]
    assert any(index in step for step in steps), plan
    assert not any("filesort" in str(step[-1]) or "temporary" in str(step[-1]) for step in plan), plan


async def test_claim_reads_no_more_rows_than_it_takes(filled):
    """The plan's estimate says little of a walk that stops at its limit: the server counts what it reads."""
    async with filled.connection() as connection:
        before = await _rows_read(connection)
        taken = await connection.rows(QUERIES["claimable"], (NOW, 1, NOW, "http", 50))
        read = await _rows_read(connection) - before
        await connection.rollback()
    assert len(taken) == 50
    assert read <= 3 * 50 + 20, "a row of the index, its job and its plan for each"


async def _rows_read(connection) -> int:
    rows = await connection.rows("show session status where variable_name like 'Handler_read%'")
    return sum(int(value) for _name, value in rows)
