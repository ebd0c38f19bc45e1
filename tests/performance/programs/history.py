"""Fills a database file with the jobs of a long history, by SQL: a few seconds for a million.

Arguments: the database file, how many. Hands in the jobs stored. Nearly all have completed; a few thousand have failed, all
of them among the oldest; one runs, and the newest are due later. Contexts, queues, keys and tags are of very
different frequency, and the rare ones are among the oldest jobs.
"""

import sys
import time
from contextlib import closing
from pathlib import Path

from queue_server.domain.command import HttpCommand
from queue_server.domain.job import Plan, encode_plan
from queue_server.store.sqlite.connection import open_writer
from tests.performance.work import Work, hand_in

BEGIN = 1_700_000_000_000_000
EVERY = 1_000_000
"""µs from one job to the next."""

PLAN = encode_plan(Plan(HttpCommand(url="http://127.0.0.1:9/work", method="POST", params={"username": "michael"})))

ROWS = """
with recursive n(i) as (select 1 union all select i + 1 from n where i < :count)
insert into job (
    id, state, type, rank, run_at, claim_seq, attempt, node_id, context, created_at, claimed_at, ended_at, parent_id, queue, key
)
select i,
    case when i <= 4000 then 'failed' when i > :count - 5000 then 'scheduled' when i = :count / 2 then 'running'
        when i % 10000 = 3 then 'cancelled' else 'completed' end,
    case when i % 50000 = 7 then 'exec' else 'http' end,
    500, :begin + i * :every, 1, 1, null,
    case when i <= 3 then 'rare' when i <= 1000 then 'blog' when i % 3 = 0 then 'shop' else 'default' end,
    :begin + i * :every + i * 7919 % 4000, :begin + i * :every,
    case when i <= :count - 5000 and i <> :count / 2 then :begin + (i + i * 31 % 100) * :every end,
    case when i % 1000 = 1 then i - 1 end,
    case when i <= 500 then 'reports' when i % 10 < 3 then 'mail' else 'default' end,
    case when i % 10 = 0 then 'tenant-' || (i / 10 % 1000) end
from n
"""
REST = """
insert into payload (job_id, plan) select id, :plan from job;
insert into attempt (
    job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, size, error_size, head, text, error_text
)
select id, 1, 1, 1, claimed_at, ended_at, case state when 'completed' then 'succeeded' else 'failed' end, 200, 2, 0, x'', x'6f6b', x''
from job where ended_at is not null;
insert into tag (name, value, job_id) select 'customer', 'acme', id from job where id % 100 = 0;
insert into tag (name, value, job_id) select 'region', iif(id % 400 = 0, 'eu', 'us'), id from job where id % 200 = 0;
insert into tag (name, value, job_id) values ('order', '4711', 2);
insert into sequence (name, next) values ('job', :count + 1) on conflict do update set next = excluded.next;
"""


def fill(database: Path, count: int) -> Work:
    begin = time.monotonic()
    with closing(open_writer(database)) as connection:
        connection.pragma("synchronous", "off")
        values = {"count": count, "begin": BEGIN, "every": EVERY, "plan": PLAN}
        connection.execute("begin")
        for statement in (ROWS, REST):
            connection.execute(statement, values)
        connection.execute("commit")
        connection.wal_checkpoint(mode=3)  # truncated: readers find everything in the database itself
    return Work(amount=count, seconds=time.monotonic() - begin, cpu_s=time.process_time())


if __name__ == "__main__":
    hand_in(fill(Path(sys.argv[1]), int(sys.argv[2])))
