-- Every query of the SQLite store. Parameters are bound by position in the order of their numbers.
--
-- The writer's queries take many rows at once ({rows}, see bulk.py) and return one JSON list, so that a batch is few steps:
-- between any two the driver hands the interpreter's lock back and forth with a busy event loop (docs/decisions/0004).

-- Keep the next free job id; once per transaction that added jobs.
-- name: save_next_id
update sequence set next = ?1 where name = 'job';

-- The next free job id, also where a database was copied together by hand.
-- name: load_next_id
select max(next, (select coalesce(max(id), 0) + 1 from job)) from sequence where name = 'job';

-- Add jobs.
-- name: insert_jobs
insert into job (id, state, type, rank, run_at, context, created_at, parent_id) values {rows};

-- Add their plans.
-- name: insert_payloads
insert into payload (job_id, plan) values {rows};

-- Make due jobs available, a page at a time.
-- name: promote
update job set state = 'available'
where id in (select id from job where state = 'scheduled' and run_at <= ?1 order by run_at, id limit ?2);

-- When the next scheduled job becomes due.
-- name: next_due
select min(run_at) from job where state = 'scheduled';

-- The first due jobs of a type in the claim's order, with the size of their plans. The inner select walks job_claim and
-- stops at its limit, however many jobs wait.
-- name: claimable
select json_group_array(
    json_array(
        rank, run_at, id, claim_seq + 1, attempt + 1, refunded, losses, context, created_at, ?3, ?4,
        coalesce((select length(plan) from payload where job_id = first.id), 0)
    )
)
from (select * from job where state = 'available' and type = ?1 order by rank, run_at, id limit ?2) as first;

-- Take jobs by id: a JSON list. They are available: this is the transaction that has just read them.
-- name: claim
update job
set state = 'running', claim_seq = claim_seq + 1, attempt = attempt + 1, node_id = ?2, claimed_at = ?3, reason = ''
where id in (select value from json_each(?1));

-- The plans of jobs, in the order of the JSON list of ids.
-- name: plans
select json_group_array(coalesce(cast((select plan from payload where job_id = value) as text), '') order by key)
from json_each(?1);

-- The plan of one job as it is stored, where one of many is no text.
-- name: plan
select coalesce((select plan from payload where job_id = ?1), '');

-- Apply transitions, each only while the job is in the state and of the claim that the decision was made for: the fence.
-- One that changes nothing is not applied: it must not wipe what is known of the job's end.
-- name: finish_all
with change (id, from_state, claim_seq, state, run_at, ended_at, refunded, losses, reason) as (values {rows})
update job
set state = change.state, run_at = coalesce(change.run_at, job.run_at), ended_at = change.ended_at,
    refunded = change.refunded, losses = change.losses, reason = change.reason, node_id = null
from change
where job.id = change.id and job.state = change.from_state and job.claim_seq = change.claim_seq
    and change.state <> change.from_state;

-- The same for one transition, where some of a batch did not apply and it must be known which.
-- name: finish
update job
set state = ?4, run_at = coalesce(?5, run_at), ended_at = ?6, refunded = ?7, losses = ?8, reason = ?9, node_id = null
where id = ?1 and state = ?2 and claim_seq = ?3 and ?4 <> ?2;

-- Record ended attempts.
-- name: insert_attempts
insert into attempt (
    job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error,
    size, error_size, head, text, error_text
) values {rows};

-- Running jobs whose node is gone. The lock on the file is the lease: a node that is still listed is this process.
-- name: expired
select rank, run_at, id, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id, 0,
    (select plan from payload where job_id = job.id)
from job
where state = 'running' and node_id not in (select id from node)
order by node_id, id limit ?1;

-- Add this process as a node whose lease starts now.
-- name: insert_node
insert into node (name, slots, started_at, beat_at) values (?1, ?2, ?3, ?3) returning id;

-- The lock on the file proves that all other nodes are gone.
-- name: delete_other_nodes
delete from node where id <> ?1;

-- Remove a node that has stopped.
-- name: delete_node
delete from node where id = ?1;

-- Renew a node's lease.
-- name: beat
update node set beat_at = ?2 where id = ?1;

-- The job slots of all nodes.
-- name: total_slots
select coalesce(sum(slots), 0) from node;

-- Jobs that ended before a time, oldest end first, as a JSON list.
-- name: purgeable
select json_group_array(id)
from (select id from job where state = ?1 and ended_at < ?2 order by ended_at, id limit ?3);

-- Delete jobs by id: a JSON list. Their plans and attempts go with the next two.
-- name: delete_jobs
delete from job where id in (select value from json_each(?1));

-- Delete the plans of jobs.
-- name: delete_payloads
delete from payload where job_id in (select value from json_each(?1));

-- Delete the attempts of jobs.
-- name: delete_attempts
delete from attempt where job_id in (select value from json_each(?1));

-- The number of jobs by state; each part counts (a part of) a partial index. At start only: the writer keeps the counts from then on.
-- name: count
select 'scheduled', count(*) from job where state = 'scheduled'
union all select 'available', count(*) from job where state = 'available'
union all select 'running', count(*) from job where state = 'running'
union all select 'completed', count(*) from job where state = 'completed' and ended_at is not null
union all select 'failed', count(*) from job where state = 'failed' and ended_at is not null
union all select 'cancelled', count(*) from job where state = 'cancelled' and ended_at is not null;

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

-- The ended attempts of a job, oldest first, without their output.
-- name: attempts
select job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error
from attempt where job_id = ?1 order by claim_seq;

-- The output of one attempt, of the last where no number is given.
-- name: output
select text, error_text, head, size, error_size
from attempt where job_id = ?1 and (?2 is null or number = ?2) order by claim_seq desc limit 1;
