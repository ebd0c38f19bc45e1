"""Fills a database file with the jobs of a long history, by SQL: a few seconds for a million.

Arguments: the database file, how many, and the time of the first in µs. Hands in the jobs stored.

Nearly all have completed. Up to 4,000 have failed, all of them among the oldest; one runs; the newest are due after
years. There are contexts, queues, keys and tags of many jobs, and others of few jobs, which are among the oldest.
"""

import sys
import time
from contextlib import closing
from pathlib import Path

from queue_server.domain.command import HttpCommand
from queue_server.domain.job import Plan, encode_plan
from queue_server.store.sqlite.connection import open_writer
from tests.performance.work import Work, hand_in

EVERY = 50_000
"""µs from one job to the next: a million in 14 hours, so that none is old enough to be deleted."""

LATER = 100 * 366 * 86_400 * 1_000_000
PLAN = encode_plan(Plan(HttpCommand(url="http://127.0.0.1:9/work", method="POST", params={"username": "michael"})))

JOBS = """
with recursive number(i) as (select 1 union all select i + 1 from number where i < :count),
kind(i, state) as (
    select i, case
        when i <= min(4000, :count / 10) then 'failed'
        when i > :count - min(5000, :count / 10) then 'scheduled'
        when i = :count / 2 then 'running'
        when i % 10000 = 3 then 'cancelled'
        else 'completed'
    end
    from number
)
insert into job (
    id, state, type, rank, run_at, claim_seq, attempt, context, created_at, claimed_at, ended_at, parent_id, queue, key
)
select
    i,
    state,
    case when i % 5000 = 7 then 'exec' else 'http' end,
    500,
    :begin + i * :every + case state when 'scheduled' then :later else 0 end,
    state <> 'scheduled',
    state <> 'scheduled',
    case when i <= 3 then 'rare' when i <= 1000 then 'blog' when i % 3 = 0 then 'shop' else 'default' end,
    :begin + i * :every + i * 7919 % 4000,
    case when state <> 'scheduled' then :begin + i * :every end,
    case when state in ('completed', 'failed', 'cancelled') then :begin + (i + i * 31 % 100) * :every end,
    case when i % 1000 = 1 then i - 1 end,
    case when i <= 500 then 'reports' when i % 10 < 3 then 'mail' else 'default' end,
    case when i % 10 = 0 then 'tenant-' || (i / 10 % 1000) end
from kind
"""
BELONGINGS = """
insert into payload (job_id, plan) select id, :plan from job;
insert into attempt (
    job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code,
    size, error_size, head, text, error_text
)
select
    id, 1, 1, 1, claimed_at, ended_at, case state when 'completed' then 'succeeded' else 'failed' end, 200,
    2, 0, x'', x'6f6b', x''
from job where ended_at is not null;
insert into tag (name, value, job_id) select 'customer', 'acme', id from job where id % 100 = 0;
insert into tag (name, value, job_id)
select 'region', case id % 400 when 0 then 'eu' else 'us' end, id from job where id % 200 = 0;
insert into tag (name, value, job_id) values ('order', '4711', 2);
update sequence set next = :count + 1 where name = 'job'
"""


def fill(database: Path, count: int, begin: int) -> None:
    """Fill a file that is empty or not there."""
    values = {"count": count, "begin": begin, "every": EVERY, "later": LATER, "plan": PLAN}
    with closing(open_writer(database)) as connection:
        connection.pragma("synchronous", "off")
        connection.execute("begin")
        connection.execute(JOBS, values)
        connection.execute(BELONGINGS, values)
        connection.execute("commit")
        connection.wal_checkpoint()


if __name__ == "__main__":
    started = time.monotonic()
    fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    hand_in(Work(amount=int(sys.argv[2]), seconds=time.monotonic() - started, cpu_s=time.process_time()))
