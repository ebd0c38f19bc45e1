-- Every query of the SQLite store. Parameters are bound by position in the order of their numbers.
--
-- The writer's queries take and return JSON lists, so that a batch is one step of one statement: between any two steps the
-- driver hands the interpreter's lock back and forth with a busy event loop (docs/decisions/0004).

-- Keep the next free job id; once per transaction that added jobs.
-- name: save_next_id
update sequence set next = ?1 where name = 'job';

-- name: load_next_id
select max(next, (select coalesce(max(id), 0) + 1 from job)) from sequence where name = 'job';

-- Add jobs: a JSON list of rows.
-- name: insert_jobs
insert into job (id, state, type, rank, run_at, context, created_at, parent_id)
select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
from json_each(?1);

-- Their plans: a JSON list of [id, plan as text].
-- name: insert_payloads
insert into payload (job_id, plan) select value ->> 0, cast(value ->> 1 as blob) from json_each(?1);

-- Make due jobs available, a page at a time.
-- name: promote
update job set state = 'available'
where id in (select id from job where state = 'scheduled' and run_at <= ?1 order by run_at, id limit ?2);

-- When the next scheduled job becomes due.
-- name: next_due
select min(run_at) from job where state = 'scheduled';

-- The first due jobs of both types within their limits (?1 http, ?2 exec, ?3 both together), in the claim's order, with
-- the size of their plans. Each inner select walks job_claim and stops at its limit, however many jobs wait.
-- name: claimable
select json_group_array(
    json_array(
        id, claim_seq + 1, attempt + 1, refunded, losses, rank, context, created_at, ?4, ?5,
        coalesce((select length(plan) from payload where job_id = first.id), 0)
    )
    order by rank, run_at, id
)
from (
    select * from (
        select * from job where state = 'available' and type = 'http' order by rank, run_at, id limit ?1
    )
    union all
    select * from (
        select * from job where state = 'available' and type = 'exec' order by rank, run_at, id limit ?2
    )
    order by rank, run_at, id limit ?3
) as first;

-- Take jobs by id: a JSON list. They are available: this is the transaction that has just read them.
-- name: claim
update job
set state = 'running', claim_seq = claim_seq + 1, attempt = attempt + 1, node_id = ?2, claimed_at = ?3, reason = ''
where id in (select value from json_each(?1));

-- The plans of jobs, in the order of the JSON list of ids.
-- name: plans
select json_group_array(coalesce(cast((select plan from payload where job_id = value) as text), '') order by key)
from json_each(?1);

-- Which transitions apply: a JSON list of [job, from_state, claim_seq, …] in, the list of their places out. This is the
-- fence: the job must be in the state and of the claim that the decision was made for.
-- name: applicable
select json_group_array(key order by key)
from json_each(?1)
where exists (
    select 1 from job where id = value ->> 0 and state = value ->> 1 and claim_seq = value ->> 2
);

-- Apply transitions that `applicable` has let pass in this transaction.
-- name: finish
update job
set state = change.value ->> 3, run_at = coalesce(change.value ->> 4, run_at), ended_at = change.value ->> 5,
    refunded = change.value ->> 6, losses = change.value ->> 7, reason = change.value ->> 8, node_id = null
from json_each(?1) as change
where job.id = change.value ->> 0;

-- Record ended attempts: a JSON list of rows, their outputs in hexadecimal digits.
-- name: insert_attempts
insert into attempt (
    job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error,
    size, error_size, head, text, error_text
)
select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, unhex(value ->> 12), unhex(value ->> 13), unhex(value ->> 14)
from json_each(?1);

-- Record one ended attempt whose output is large.
-- name: insert_attempt
insert into attempt (
    job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error,
    size, error_size, head, text, error_text
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- Running jobs whose node is gone. The lock on the file is the lease: a node that is still listed is this process.
-- name: expired
select id, claim_seq, attempt, refunded, losses, rank, context, created_at, claimed_at, node_id,
    (select plan from payload where job_id = job.id)
from job
where state = 'running' and node_id not in (select id from node)
order by node_id, id limit ?1;

-- name: insert_node
insert into node (name, slots, started_at, beat_at) values (?1, ?2, ?3, ?3) returning id;

-- The lock on the file proves that all other nodes are gone.
-- name: delete_other_nodes
delete from node where id <> ?1;

-- name: delete_node
delete from node where id = ?1;

-- name: beat
update node set beat_at = ?2 where id = ?1;

-- name: total_slots
select coalesce(sum(slots), 0) from node;

-- Jobs that ended before a time, oldest end first, as a JSON list.
-- name: purgeable
select json_group_array(id)
from (select id from job where state = ?1 and ended_at < ?2 order by ended_at, id limit ?3);

-- name: delete_jobs
delete from job where id in (select value from json_each(?1));

-- name: delete_payloads
delete from payload where job_id in (select value from json_each(?1));

-- name: delete_attempts
delete from attempt where job_id in (select value from json_each(?1));

-- The number of jobs by state; each part counts a partial index. At start only: the writer keeps the counts from then on.
-- name: count
select 'scheduled', count(*) from job where state = 'scheduled'
union all select 'available', count(*) from job where state = 'available'
union all select 'running', count(*) from job where state = 'running'
union all select 'completed', count(*) from job where state = 'completed'
union all select 'failed', count(*) from job where state = 'failed'
union all select 'cancelled', count(*) from job where state = 'cancelled';

-- One job with the facts of its last ended attempt.
-- name: get
select job.id, job.state, 1000 - job.rank, job.run_at, job.context, job.attempt, job.claim_seq, job.node_id,
    job.created_at, job.claimed_at, job.ended_at, job.reason, job.parent_id, payload.plan,
    attempt.outcome, attempt.exit_code, attempt.error
from job
join payload on payload.job_id = job.id
left join attempt on attempt.job_id = job.id
    and attempt.claim_seq = (select max(claim_seq) from attempt where job_id = job.id)
where job.id = ?1;

-- Jobs that match, newest first. An absent condition is a null parameter.
-- name: find
select job.id, job.state, 1000 - job.rank, job.run_at, job.context, job.attempt, job.claim_seq, job.node_id,
    job.created_at, job.claimed_at, job.ended_at, job.reason, job.parent_id, payload.plan,
    attempt.outcome, attempt.exit_code, attempt.error
from job
join payload on payload.job_id = job.id
left join attempt on attempt.job_id = job.id
    and attempt.claim_seq = (select max(claim_seq) from attempt where job_id = job.id)
where job.id < ?1 and (?2 is null or job.state = ?2) and (?3 is null or job.context = ?3)
order by job.id desc limit ?4;

-- name: attempts
select job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error
from attempt where job_id = ?1 order by claim_seq;

-- The output of one attempt, of the last where no number is given.
-- name: output
select text, error_text, head, size, error_size
from attempt where job_id = ?1 and (?2 is null or number = ?2) order by claim_seq desc limit 1;
