-- Every query of the SQLite store. Parameters are bound by position in the order of their numbers.
--
-- The writer's queries take many rows at once ({rows}, see bulk.py) and return one JSON list, so that a batch is few steps:
-- between any two the driver hands the interpreter's lock back and forth with a busy event loop (docs/decisions/0004).

-- Note from now on, in the connection's own table, how the waiting jobs of contexts become more and fewer.
-- name: watch_contexts
create temp table if not exists context_change (context text primary key, change integer not null) without rowid;
create temp trigger if not exists waiting_added after insert on job when new.state in ('scheduled', 'available')
begin
    insert into context_change values (new.context, 1) on conflict (context) do update set change = change + 1;
end;
create temp trigger if not exists waiting_deleted after delete on job when old.state in ('scheduled', 'available')
begin
    insert into context_change values (old.context, -1) on conflict (context) do update set change = change - 1;
end;
create temp trigger if not exists waiting_moved after update of state, context on job
when (old.state in ('scheduled', 'available')) <> (new.state in ('scheduled', 'available'))
    or old.context <> new.context and new.state in ('scheduled', 'available')
begin
    insert into context_change select old.context, -1 where old.state in ('scheduled', 'available')
    on conflict (context) do update set change = change - 1;
    insert into context_change select new.context, 1 where new.state in ('scheduled', 'available')
    on conflict (context) do update set change = change + 1;
end;

-- What was noted, as a JSON object.
-- name: context_changes
select json_group_object(context, change) from context_change where change <> 0;

-- Forget what was noted.
-- name: forget_context_changes
delete from context_change;

-- How many jobs of each context wait.
-- name: count_contexts
select context, count(*) from job where state in ('scheduled', 'available') group by context;

-- Keep the next free job id; once per transaction that added jobs.
-- name: save_next_id
update sequence set next = ?1 where name = 'job';

-- The next free job id, also where a database was copied together by hand.
-- name: load_next_id
select max(next, (select coalesce(max(id), 0) + 1 from job)) from sequence where name = 'job';

-- Add jobs.
-- name: insert_jobs
insert into job (id, state, type, rank, run_at, context, created_at, parent_id, queue, key, overdue_at) values {rows};

-- Add their plans.
-- name: insert_payloads
insert into payload (job_id, plan) values {rows};

-- Add their tags.
-- name: insert_tags
insert into tag (name, value, job_id) values {rows};

-- Which of many idempotency keys are known, by their places: the job of each, what was asked for with it, and whether that
-- job is still there. The cross join keeps the order: each wanted key is looked up.
-- name: load_once
with wanted (place, scope, key) as (values {rows})
select json_group_array(
    json_array(
        wanted.place, once.job_id, hex(once.fingerprint), exists (select 1 from job where job.id = once.job_id)
    )
)
from wanted cross join once on once.scope = wanted.scope and once.key = wanted.key;

-- Keep idempotency keys.
-- name: insert_once
insert into once (scope, key, fingerprint, job_id, until) values {rows};

-- Forget idempotency keys whose time is over, a page at a time.
-- name: delete_once
delete from once where (scope, key) in (select scope, key from once where until < ?1 order by until limit ?2);

-- Make due jobs available, a page at a time. Left to itself SQLite takes job_state, and reads all that are scheduled.
-- name: promote
update job set state = 'available'
where id in (
    select id from job indexed by job_due where state = 'scheduled' and run_at <= ?1 order by run_at, id limit ?2
);

-- When the next scheduled job becomes due.
-- name: next_due
select min(run_at) from job indexed by job_due where state = 'scheduled';

-- The first due jobs of a type in the claim's order, with the size of their plans. The inner select walks job_claim and
-- stops at its limit, however many jobs wait.
-- name: claimable
select json_group_array(
    json_array(
        rank, run_at, id, claim_seq + 1, attempt + 1, refunded, losses, context, created_at, ?3, ?4,
        coalesce((select length(plan) from payload where job_id = first.id), 0),
        queue, key, coalesce(first_started_at, ?3), overdue_at,
        case when cancel_wished_at is not null then reason end
    )
)
from (select * from job where state = 'available' and type = ?1 order by rank, run_at, id limit ?2) as first;

-- Take jobs by id: a JSON list. They are available: this is the transaction that has just read them.
-- name: claim
update job
set state = 'running', claim_seq = claim_seq + 1, attempt = attempt + 1, node_id = ?2, claimed_at = ?3, reason = '',
    first_started_at = coalesce(first_started_at, ?3), overdue_at = null
where id in (select value from json_each(?1));

-- The plans of jobs, in the order of the JSON list of ids.
-- name: plans
select json_group_array(coalesce(cast((select plan from payload where job_id = value) as text), '') order by key)
from json_each(?1);

-- The plan of one job as it is stored, where one of many is no text.
-- name: plan
select coalesce((select plan from payload where job_id = ?1), '');

-- Apply transitions, each only while the job is in the state and of the claim that the decision was made for: the fence.
-- One that changes nothing is not applied: it must not wipe what is known of the job's end. One that goes on running has
-- an overdue_at, and keeps its node: it tells where the attempt began. One that was decided before somebody wished to
-- cancel the job, and does not end it, leaves it overdue at once: then it is cancelled instead of going on.
-- name: finish_all
with change (
    id, from_state, claim_seq, state, run_at, ended_at, refunded, losses, reason, overdue_at, keep_until
) as (values {rows})
update job
set state = change.state, run_at = coalesce(change.run_at, job.run_at), ended_at = change.ended_at,
    refunded = change.refunded, losses = change.losses,
    reason = case when change.ended_at is null and job.cancel_wished_at is not null then job.reason else change.reason end,
    overdue_at = case when change.ended_at is null then coalesce(job.cancel_wished_at, change.overdue_at) end,
    keep_until = change.keep_until, node_id = case change.state when 'running' then job.node_id end
from change
where job.id = change.id and job.state = change.from_state and job.claim_seq = change.claim_seq
    and (change.state <> change.from_state or (change.state = 'running' and change.overdue_at is not null));

-- The same for one transition, where some of a batch did not apply and it must be known which.
-- name: finish
update job
set state = ?4, run_at = coalesce(?5, run_at), ended_at = ?6, refunded = ?7, losses = ?8,
    reason = case when ?6 is null and cancel_wished_at is not null then reason else ?9 end,
    overdue_at = case when ?6 is null then coalesce(cancel_wished_at, ?10) end, keep_until = ?11,
    node_id = case ?4 when 'running' then node_id end
where id = ?1 and state = ?2 and claim_seq = ?3 and (?4 <> ?2 or (?4 = 'running' and ?10 is not null));

-- Record ended attempts.
-- name: insert_attempts
insert into attempt (
    job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error,
    size, error_size, head, text, error_text, due_at, connect, first_byte
) values {rows};

-- Running jobs whose node is gone. The lock on the file is the lease: a node that is still listed is this process. One that
-- goes on past its request needs no node.
-- name: expired
select rank, run_at, id, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id, 0,
    queue, key, coalesce(first_started_at, claimed_at), null,
    case when cancel_wished_at is not null then reason end, 'running',
    (select plan from payload where job_id = job.id)
from job
where state = 'running' and overdue_at is null and node_id not in (select id from node)
order by id limit ?1;

-- Jobs whose overdue_at has passed: waiting ones have not started in time, running ones have fallen silent, and some of
-- both are to be cancelled.
-- name: overdue
select rank, run_at, id, claim_seq, attempt, refunded, losses, context, created_at, coalesce(claimed_at, created_at),
    coalesce(node_id, 0), 0, queue, key, coalesce(first_started_at, claimed_at, created_at), overdue_at,
    case when cancel_wished_at is not null then reason end, state, (select plan from payload where job_id = job.id)
from job
where overdue_at <= ?1
order by overdue_at, id limit ?2;

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

-- Jobs that ended between two times, oldest end first, as a JSON list. Those with their own retention are left out; where
-- one page ends the next begins, so that they are not passed over again and again.
-- name: purgeable
select json_group_array(id)
from (
    select id from job
    where state = ?1 and ended_at >= ?2 and ended_at < ?3 and keep_until is null
    order by ended_at, id limit ?4
);

-- Jobs whose own retention is over, as a JSON list.
-- name: kept_too_long
select json_group_array(json_array(id, state))
from (select id, state from job where keep_until < ?1 order by keep_until, id limit ?2);

-- Delete jobs by id: a JSON list. Their plans and attempts go with the next two.
-- name: delete_jobs
delete from job where id in (select value from json_each(?1));

-- Delete the plans of jobs.
-- name: delete_payloads
delete from payload where job_id in (select value from json_each(?1));

-- Delete the attempts of jobs.
-- name: delete_attempts
delete from attempt where job_id in (select value from json_each(?1));

-- Delete the tags of jobs.
-- name: delete_tags
delete from tag where job_id in (select value from json_each(?1));

-- Change a job that does not run.
-- name: revise
update job
set state = ?4, type = coalesce(?5, type), rank = ?6, run_at = ?7, queue = ?8, context = ?9, key = ?10, overdue_at = ?11,
    refunded = ?12, losses = ?13, first_started_at = ?14, reason = ?15, ended_at = null, keep_until = null,
    cancel_wished_at = null
where id = ?1 and state = ?2 and claim_seq = ?3;

-- Replace the plan of a job.
-- name: replace_payload
update payload set plan = ?2 where job_id = ?1;

-- A sign of life of a job that goes on past its request.
-- name: extend
update job set overdue_at = ?3, reason = ?4
where id = ?1 and claim_seq = ?2 and state = 'running' and overdue_at is not null;

-- Have a running job interrupted.
-- name: wish_cancel
update job set cancel_wished_at = ?3, reason = ?4 where id = ?1 and claim_seq = ?2 and state = 'running';

-- Add an operation.
-- name: insert_operation
insert into operation (action, state, filter, reason, changes, last_id, next_id, matched, created_at, access)
values (?1, 'running', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) returning id;

-- How far an operation has come; one that has ended stays as it is.
-- name: save_operation
update operation
set next_id = ?2, done = done + ?3, skipped = skipped + ?4, state = ?5, ended_at = ?6, error = ?7
where id = ?1 and state = 'running';

-- Whether an operation is not over, and where it is expected to be, if that matters.
-- name: is_operation_running
select 1 from operation where id = ?1 and state = 'running' and (?2 is null or next_id = ?2);

-- One operation.
-- name: operation
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where id = ?1;

-- Operations, newest first.
-- name: operations
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where id < ?1 order by id desc limit ?2;

-- Operations that are not over, oldest first.
-- name: open_operations
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where state = 'running' order by id;

-- Forget operations that have ended long ago, a page at a time.
-- name: delete_operations
delete from operation where id in (
    select id from operation where state <> 'running' and ended_at < ?1 order by id limit ?2
);

-- The number of jobs by state; each part counts (a part of) an index. At start only: the writer keeps the counts from then on.
-- name: count
select 'scheduled', count(*) from job where state = 'scheduled'
union all select 'available', count(*) from job where state = 'available'
union all select 'running', count(*) from job where state = 'running'
union all select 'completed', count(*) from job where state = 'completed'
union all select 'failed', count(*) from job where state = 'failed'
union all select 'cancelled', count(*) from job where state = 'cancelled';

-- One job with the facts of its last ended attempt.
-- name: get
select {record}
from job
join payload on payload.job_id = job.id
left join attempt on attempt.job_id = job.id
    and attempt.claim_seq = (select max(claim_seq) from attempt where job_id = job.id)
where job.id = ?1;

-- Jobs by id, a JSON list, in its order.
-- name: get_many
select {record}
from json_each(?1) as wanted
join job on job.id = wanted.value
join payload on payload.job_id = job.id
left join attempt on attempt.job_id = job.id
    and attempt.claim_seq = (select max(claim_seq) from attempt where job_id = job.id)
order by wanted.key;

-- How many jobs of a type are claimed before one; counts no further than the limit.
-- name: ahead
select count(*) from (
    select 1 from job
    where state = 'available' and type = ?1 and (rank, run_at, id) < (?2, ?3, ?4)
    limit ?5
);

-- The ended attempts of a job, oldest first, without their output.
-- name: attempts
select job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error,
    size, error_size, due_at, connect, first_byte
from attempt where job_id = ?1 order by claim_seq;

-- The output of one attempt, of the last where no number is given.
-- name: output
select text, error_text, head, size, error_size
from attempt where job_id = ?1 and (?2 is null or number = ?2) order by claim_seq desc limit 1;

-- Add an API token; no row if one in force has its name.
-- name: insert_token
insert into token (name, digest, scopes, contexts, queues, targets, created_at, expires_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
on conflict (name) where revoked_at is null do nothing
returning id;

-- Every API token, oldest first. They are few.
-- name: tokens
select id, name, digest, old_digest, old_until, scopes, contexts, queues, targets, created_at, expires_at, revoked_at,
    last_used_at
from token order by id;

-- Give a token another text; the one before works until a time.
-- name: rotate_token
update token set old_digest = digest, digest = ?2, old_until = ?3 where id = ?1 and revoked_at is null;

-- End a token.
-- name: revoke_token
update token set revoked_at = ?2 where id = ?1 and revoked_at is null;

-- When tokens were last used: a JSON list of their ids and times.
-- name: note_tokens_used
update token set last_used_at = max(coalesce(last_used_at, 0), used.at)
from (select value ->> 0 as id, value ->> 1 as at from json_each(?1)) as used
where token.id = used.id;

-- Append a management action to the audit log.
-- name: insert_act
insert into audit (at, who, token_id, address, action, target, count, details)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- Management actions with smaller ids, newest first.
-- name: acts
select id, at, who, token_id, address, action, target, count, details
from audit where id < ?1 order by id desc limit ?2;

-- Delete the oldest management actions from before a time.
-- name: purge_acts
delete from audit where id in (select id from audit where at < ?1 order by at, id limit ?2);

-- Every kept secret, oldest first. They are few.
-- name: secrets
select id, name, kind, sealed, created_at, until from secret order by id;

-- Keep a secret.
-- name: insert_secret
insert into secret (name, kind, sealed, created_at) values (?1, ?2, ?3, ?4) returning id;

-- The secrets of a name are in force until a time, if no earlier one ends them.
-- name: end_secrets
update secret set until = ?3 where kind = ?1 and name = ?2 and (until is null or until > ?3);

-- Delete secrets of a name that are not in force any more.
-- name: delete_ended_secrets
delete from secret where kind = ?1 and name = ?2 and until <= ?3;

-- Delete the secrets of a name.
-- name: delete_secrets
delete from secret where kind = ?1 and name = ?2;

-- Seal secrets anew: a JSON list of their ids and sealed texts.
-- name: reseal_secrets
update secret set sealed = new.sealed
from (select value ->> 0 as id, value ->> 1 as sealed from json_each(?1)) as new
where secret.id = new.id;
