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
BEHIND_NOTHING = (-1, -1, 0, -1, 0, 0)
WALKS = [
    ("claimable", (NOW, 1, NOW, "http", *BEHIND_NOTHING, 100), "job", "job_claim"),
    ("claimable", (NOW, 1, NOW, "http", 500, 500, NOW, 500, NOW, 2500, 100), "job", "job_claim"),
    ("due", (NOW + 5000 * SECOND, 100), "job", "job_due"),
    ("next_due", (), "job", "job_due"),
    ("claim", (IDS, 1, NOW, NOW), "job", "PRIMARY"),
    ("promote", (IDS,), "job", "PRIMARY"),
    ("plans", (IDS,), "payload", "PRIMARY"),
    ("lock_jobs", (IDS,), "job", "PRIMARY"),
    ("finish", (listed([[1, "completed", NOW, NOW, 0, 0, "", None, None, None]]),), "job", "PRIMARY"),
    ("strays", (1, IDS, 100), "job", "job_node"),
    ("has_running_jobs", (1,), "job", "job_node"),
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


@pytest.mark.parametrize(
    ("name", "values", "table", "index"), WALKS, ids=[f"{walk[0]}-{place}" for place, walk in enumerate(WALKS)]
)
async def test_query_walks_its_index_and_sorts_nothing(filled, name, values, table, index):
    async with filled.connection() as connection:
        plan = await connection.rows(f"explain {QUERIES[name]}", values)
    steps = [step for step in plan if step[2] == table]
    assert any(index in step for step in steps), plan
    assert not any("filesort" in str(step[-1]) or "temporary" in str(step[-1]) for step in plan), plan


@pytest.mark.parametrize("is_at_the_beginning", [True, False])
async def test_claim_reads_no_more_rows_than_it_takes(filled, is_at_the_beginning):
    """The plan's estimate says little of a walk that stops at its limit: the server counts what it reads."""
    async with filled.connection() as connection:
        (*_, last) = await connection.rows(QUERIES["claimable"], (NOW, 1, NOW, "http", *BEHIND_NOTHING, 300))
        rank, run_at, job_id = last[:3]
        place = BEHIND_NOTHING if is_at_the_beginning else (rank, rank, run_at, rank, run_at, job_id)
        before = await _rows_read(connection)
        taken = await connection.rows(QUERIES["claimable"], (NOW, 1, NOW, "http", *place, 50))
        read = await _rows_read(connection) - before
        await connection.rollback()
    assert len(taken) == 50
    assert (last[2] < taken[0][2]) is not is_at_the_beginning
    assert read <= 3 * 50 + 20, "a row of the index, its job and its plan for each"


async def test_search_for_jobs_of_dead_nodes_reads_none_of_living_ones(filled):
    """One step for each node that has jobs; the jobs of the one that is alive are hundreds."""
    async with filled.connection() as connection:
        before = await _rows_read(connection)
        alive = await connection.rows(QUERIES["expired"], (NOW, 100))
        read = await _rows_read(connection) - before
        dead = await connection.rows(QUERIES["expired"], (NOW + 1, 100))
    assert (len(alive), len(dead)) == (0, 100)
    assert read <= 20


async def test_search_for_jobs_that_go_on_elsewhere_reads_none_that_are_known_to_be_silent(filled):
    """Jobs that go on past their request have a time, and are no strays."""
    async with filled.connection() as connection:
        await connection.run("update job set overdue_at = 1 where state = 'running'")
        before = await _rows_read(connection)
        assert await connection.rows(QUERIES["strays"], (1, IDS, 100)) == ()
        assert await _rows_read(connection) - before <= 20
        await connection.rollback()


async def _rows_read(connection) -> int:
    rows = await connection.rows("show session status where variable_name like 'Handler_read%'")
    return sum(int(value) for _name, value in rows)
