"""A file of the first schema, with jobs in every state: it is brought up to date, works, and nothing is lost."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.errors import StoreRefused
from queue_server.domain.job import Plan, Report
from queue_server.domain.outcome import FAILED, OutcomeKind, Output
from queue_server.domain.retry import Retry
from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.contract import Claim, JobFilter, JobQuery, Order
from queue_server.store.migrations import load_migrations
from queue_server.store.sqlite.connection import APPLICATION_ID, MIGRATIONS, migrate_file, open_writer
from tests.builders.jobs import DAY, NOW, SECOND, decided, new_job, once
from tests.builders.rules import cancelling, removing, retrying, revising
from tests.builders.stores import ALL_SLOTS, add_one, all_jobs, amend_one, claim, claim_all, opened

NODE = 7
AGO = NOW - DAY
HTTP_PLAN = b'{"command":{"type":"http","url":"http://example.com/"},"callback_done":{"type":"exec","cmd":"true"}}'
EXEC_PLAN = b'{"command":{"type":"exec","cmd":"true"},"retry":{"max_attempts":3,"backoff":"fixed","min_delay":10.0}}'
REPORT_PLAN = b"""{"command":{"type":"exec","cmd":"echo"},"retry":{"max_attempts":5},
    "report":{"job_id":4,"state":"failed","exit_code":500,"attempts":1,"context":"app","error":"HTTP 500"}}"""

JOBS = [
    # id, state, type, rank, run_at, claim_seq, attempt, refunded, losses, node_id, context, created_at, claimed_at,
    # ended_at, reason, parent_id
    (1, "scheduled", "http", 500, NOW + DAY, 0, 0, 0, 0, None, "default", AGO, None, None, "", None),
    (2, "scheduled", "exec", 500, NOW + SECOND, 1, 1, 0, 0, None, "app", AGO, NOW, None, "it failed", None),
    (3, "available", "http", 100, NOW - SECOND, 0, 0, 0, 0, None, "ä", NOW - SECOND, None, None, "", None),
    (4, "failed", "http", 500, AGO, 1, 1, 0, 0, None, "app", AGO, AGO, AGO + 5, "HTTP 500", None),
    (5, "available", "exec", 0, NOW - 5, 0, 0, 0, 0, None, "app", NOW - 5, None, None, "", 4),
    (6, "running", "http", 500, NOW - 9, 3, 3, 1, 1, NODE, "default", AGO, NOW - 8, None, "", None),
    (7, "running", "exec", 500, NOW - 9, 1, 1, 0, 0, NODE, "default", AGO, NOW - 8, None, "", None),
    (8, "completed", "http", 500, AGO, 1, 1, 0, 0, None, "default", AGO, AGO, AGO + 7, "", None),
    (9, "cancelled", "exec", 500, AGO, 0, 0, 0, 0, None, "default", AGO, None, AGO, "cancelled", None),
]  # fmt: skip
ATTEMPTS = [
    # job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error, size, error_size,
    # head, text, error_text
    (2, 1, 1, NODE, NOW, NOW + 1, "failed", 3, None, "exit code 3", 3, 5, b"", b"out", b"error"),
    (4, 1, 1, NODE, NOW - DAY, NOW - DAY + 5, "failed", 500, None, "HTTP 500", 4, 0, b"HTTP/1.1 500", b"\xff\0no", b""),
    (6, 1, 1, NODE, NOW - DAY, NOW - DAY + 1, "interrupted", None, None, None, 0, 0, b"", b"", b""),
    (6, 2, 2, NODE, NOW - DAY + 2, NOW - DAY + 3, "lease_expired", None, None, "lost", 0, 0, b"", b"", b""),
    (8, 1, 1, NODE, NOW - DAY, NOW - DAY + 7, "succeeded", 200, None, None, 2, 0, b"", b"ok", b""),
]


@pytest.fixture
def old(path: Path) -> Path:
    """A file as the first schema left it, with the jobs."""
    with closing(apsw.Connection(str(path))) as database:
        database.execute(load_migrations(MIGRATIONS)[0].sql)
        database.execute(
            f"pragma user_version = 1; pragma application_id = {APPLICATION_ID}; pragma journal_mode = wal"
        )
        database.execute("insert into node values (?, 'here', 100, ?, ?)", (NODE, NOW - DAY, NOW))
        database.execute("update sequence set next = 20 where name = 'job'")
        database.executemany(
            f"""insert into job (id, state, type, rank, run_at, claim_seq, attempt, refunded, losses, node_id, context,
            created_at, claimed_at, ended_at, reason, parent_id) values ({",".join("?" * 16)})""",
            JOBS,
        )
        plans = {"http": HTTP_PLAN, "exec": EXEC_PLAN}
        rows = [(job[0], REPORT_PLAN if job[0] == 5 else plans[job[2]]) for job in JOBS]
        database.executemany("insert into payload values (?, ?)", rows)
        database.executemany(f"insert into attempt values ({','.join('?' * 15)})", ATTEMPTS)
    return path


def test_old_file_has_the_schema_of_a_new_one_after_its_migration(old, tmp_path):
    query = "select type, name, tbl_name, sql from sqlite_schema order by 1, 2"
    assert migrate_file(old) == ["0002 life_of_a_job", "0003 safety"]
    with closing(open_writer(old)) as migrated, closing(open_writer(tmp_path / "new.db")) as new:
        assert list(migrated.execute(query)) == list(new.execute(query))
        assert migrated.pragma("integrity_check") == "ok"
        assert migrated.pragma("user_version") == 3
    assert migrate_file(old) == []


async def test_every_job_is_as_it_was(old, backend):
    async with opened(backend) as store:
        records = {record.id: record for record in await all_jobs(store)}
        assert list(records) == [job[0] for job in reversed(JOBS)]
        for job in JOBS:
            record = records[job[0]]
            assert (record.state, 1000 - record.priority, record.run_at) == (job[1], job[3], job[4])
            assert (record.claim_seq, record.attempt, record.refunded, record.losses, record.node_id) == job[5:10]
            assert (record.context, record.created_at, record.claimed_at, record.ended_at) == job[10:14]
            assert (record.reason, record.parent_id) == job[14:]
            assert (record.queue, record.key, record.overdue_at, record.keep_until) == ("default", None, None, None)
            assert (record.first_started_at, record.cancel_wished_at) == (None, None)
            assert not record.is_continued
        assert records[2].plan == Plan(ExecCommand(cmd="true"), retry=Retry(3, "fixed", 10.0))
        assert records[3].plan == Plan(HttpCommand(url="http://example.com/"), callback_done=ExecCommand(cmd="true"))
        assert records[5].plan.report == Report(4, State.FAILED, 500, 1, "app", "HTTP 500")
        assert (records[4].outcome, records[4].exit_code, records[4].error) == (FAILED, 500, "HTTP 500")
        assert await store.counts() == backend.recount()
        assert await store.last_id() == 19


async def test_every_attempt_and_output_is_as_it_was(old, backend):
    async with opened(backend) as store:
        for job_id, claim_seq, number, *facts, size, error_size, head, text, error_text in ATTEMPTS:
            attempt = (await store.attempts(job_id))[number - 1]
            assert (attempt.claim_seq, attempt.number, attempt.node_id) == (claim_seq, number, NODE)
            assert [attempt.started_at, attempt.ended_at, attempt.outcome] == facts[1:4]
            assert [attempt.exit_code, attempt.signal, attempt.error] == facts[4:]
            assert (attempt.due_at, attempt.timings.connect, attempt.timings.first_byte) == (None, None, None)
            assert await store.output(job_id, number) == Output(text, error_text, head, size, error_size)


async def test_jobs_that_ran_are_given_back_and_all_that_wait_run(old, backend):
    async with opened(backend) as store:
        node = await store.register("here", 100, NOW)
        assert node.id > NODE
        lost = await store.expired(NOW, 0, 10)
        assert [(job.id, job.losses, job.first_started_at) for job in lost] == [(6, 1, NOW - 8), (7, 0, NOW - 8)]
        assert all((await store.turn([decided(job, OutcomeKind.LEASE_EXPIRED) for job in lost], None)).applied)
        turn = await store.turn((), Claim(node.id, ALL_SLOTS, NOW))
        assert [job.id for job in turn.claimed.jobs] == [5, 3, 6, 7]
        assert turn.claimed.next_due == NOW + SECOND
        (again,) = await claim(store, node, now=NOW + SECOND)
        assert (again.id, again.attempt, again.first_started_at) == (2, 2, NOW + SECOND)
        jobs = [*turn.claimed.jobs, again]
        assert all((await store.turn([decided(job, now=NOW + SECOND) for job in jobs], None)).applied)
        callbacks = await claim_all(store, node, now=NOW + SECOND)
        assert sorted(job.plan.report.job_id for job in callbacks) == [3, 6]
        assert await store.counts() == backend.recount()


async def test_old_jobs_can_be_found_changed_run_again_and_deleted(old, backend):
    async with opened(backend) as store:
        assert await _found(store, JobFilter(queue="default")) == [job[0] for job in reversed(JOBS)]
        assert await _found(store, JobFilter(type="exec", context="app")) == [5, 2]
        assert await _found(store, JobFilter(parent_id=4)) == [5]
        assert await _found(store, JobFilter(created_before=NOW - SECOND), Order.OLDEST) == [1, 2, 4, 6, 7, 8, 9]
        await amend_one(store, 1, revising(b'{"tags":{"a":"b"},"priority":7,"ttl":60}'))
        assert await _found(store, JobFilter(tags={"a": "b"})) == [1]
        await amend_one(store, 2, cancelling())
        await amend_one(store, 4, retrying())
        await amend_one(store, 8, removing)
        states = [record and record.state for record in [await store.get(job_id) for job_id in (1, 2, 4, 8)]]
        assert states == [State.SCHEDULED, State.CANCELLED, State.AVAILABLE, None]
        assert await store.purge(dict.fromkeys(FINAL_STATES, NOW), NOW, 100) == 1, "the cancelled one of yesterday"
        assert await store.counts() == backend.recount()


async def test_new_jobs_are_added_beside_old_ones(old, backend):
    async with opened(backend) as store:
        assert await add_one(store, new_job(once=once("k"), tags={"a": "b"}, queue="q")) == 20
        assert (await store.add_once([new_job(once=once("k"))])).replayed == {0}
        assert (await store.get(20)).queue == "q"


def test_interrupted_migration_leaves_the_old_schema(old, monkeypatch):
    """It is one transaction: whoever is killed in it finds the old file."""
    with closing(apsw.Connection(str(old))) as database:
        database.execute("create table once (x)")  # the migration can't make its own
        before = list(database.execute("select name, sql from sqlite_schema order by 1"))
        jobs = list(database.execute("select * from job order by id"))
    with pytest.raises(StoreRefused, match="already"):
        migrate_file(old)
    with closing(apsw.Connection(str(old))) as database:
        assert list(database.execute("select name, sql from sqlite_schema order by 1")) == before
        assert list(database.execute("select * from job order by id")) == jobs
        assert database.pragma("user_version") == 1


async def _found(store, wanted: JobFilter, order: Order = Order.NEWEST) -> list[int]:
    page = await store.find(JobQuery(filter=wanted, order=order))
    return [record.id for record in page.jobs]
