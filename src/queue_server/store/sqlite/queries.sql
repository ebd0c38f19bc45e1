-- Every query of the SQLite store. Parameters are bound by position in the order of their numbers.

-- Keep the next free job id; once per transaction that added jobs.
-- name: save_next_id
update sequence set next = ?1 where name = 'job';

-- name: load_next_id
select max(next, (select coalesce(max(id), 0) + 1 from job)) from sequence where name = 'job';

-- Add one job.
-- name: insert_job
insert into job (id, state, type, rank, run_at, context, created_at, parent_id) values (?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_payload
insert into payload (job_id, plan) values (?, ?);

-- Make due jobs available, a page at a time.
-- name: promote
update job set state = 'available'
where id in (select id from job where state = 'scheduled' and run_at <= ?1 order by run_at, id limit ?2);

-- When the next scheduled job becomes due.
-- name: next_due
select min(run_at) from job where state = 'scheduled';

-- Take the first due jobs of both types within their limits (?3 http, ?4 exec, ?5 both together). Each inner select
-- walks job_claim in its order and stops at its limit, however many jobs wait.
-- name: claim
update job
set state = 'running', claim_seq = claim_seq + 1, attempt = attempt + 1, node_id = ?1, claimed_at = ?2, reason = ''
where id in (
    select id from (
        select * from (
            select id, rank, run_at from job where state = 'available' and type = 'http'
            order by rank, run_at, id limit ?3
        )
        union all
        select * from (
            select id, rank, run_at from job where state = 'available' and type = 'exec'
            order by rank, run_at, id limit ?4
        )
    )
    order by rank, run_at, id limit ?5
)
returning rank, run_at, id, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id,
    (select plan from payload where job_id = job.id);

-- End a claim, or cancel a waiting job: only while it is in the state and of the claim that the decision was made for.
-- Returns the transition's place in the batch, so that what did not apply is known.
-- name: finish
update job
set state = ?2, run_at = coalesce(?3, run_at), ended_at = ?4, refunded = ?5, losses = ?6, reason = ?7, node_id = null
where id = ?8 and state = ?9 and claim_seq = ?10
returning ?1;

-- name: insert_attempt
insert into attempt (
    job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error,
    size, error_size, head, text, error_text
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- Running jobs whose node is gone. The lock on the file is the lease: a node that is still listed is this process.
-- name: expired
select rank, run_at, id, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id,
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

-- Jobs that ended before a time, oldest end first.
-- name: purgeable
select id from job where state = ?1 and ended_at < ?2 order by ended_at, id limit ?3;

-- name: delete_job
delete from job where id = ?1;

-- name: delete_payload
delete from payload where job_id = ?1;

-- name: delete_attempts
delete from attempt where job_id = ?1;

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
