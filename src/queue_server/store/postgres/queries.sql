-- Every query of the PostgreSQL store. Many rows come as arrays, one for each column ({rows}, see statements.py), and are
-- unnested: a batch of any size is one prepared statement.
--
-- Statements of the hot path join by `place` or by id in nested loops: their sessions have other joins switched off, as a
-- plan that was made while the table was empty would otherwise read all of it when it is full (pool.py).

-- Add jobs with plans, tags and idempotency keys, and count them; the ids, growing with the places of the jobs.
-- name: insert_jobs
with given as materialized (
    select nextval('job_id') as id, one.*
    from unnest(
        $1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
        $9::text[], $10::bigint[], $11::bytea[]
    ) as one (state, type, rank, run_at, context, created_at, parent_id, queue, key, overdue_at, plan)
), listed as materialized (
    select array_agg(id order by id) as ids from given
), jobs as (
    insert into job (id, state, type, rank, run_at, context, created_at, parent_id, queue, key, overdue_at)
    select id, state, type, rank, run_at, context, created_at, parent_id, queue, key, overdue_at from given
), plans as (
    insert into payload (job_id, plan) select id, plan from given
), tags as (
    insert into tag (name, value, job_id)
    select one.name, one.value, listed.ids[one.place]
    from listed, unnest($12::int[], $13::text[], $14::text[]) as one (place, name, value)
), keys as (
    insert into once (hash, fingerprint, job_id, until)
    select one.hash, one.fingerprint, listed.ids[one.place], one.until
    from listed, unnest($15::int[], $16::bytea[], $17::bytea[], $18::bigint[]) as one (place, hash, fingerprint, until)
), counted as (
    insert into tally (state, change) select state, count(*) from given group by state
)
select ids from listed;

-- Which idempotency keys are known: the job of each, what was asked for with it, and whether that job is still there.
-- name: load_once
select once.hash, once.job_id, once.fingerprint, exists (select 1 from job where job.id = once.job_id)
from once where once.hash = any($1::bytea[]);

-- Forget idempotency keys whose time is over, a page at a time.
-- name: delete_once
with old as materialized (
    select hash from once where until < $1 order by until limit $2 for update skip locked
)
delete from once using old where once.hash = old.hash;

-- Make due jobs available, a page at a time, in their order; how many there were.
-- name: promote
with due as materialized (
    select id from job
    where state = 'scheduled' and run_at <= $1 order by run_at, id limit $2 for no key update skip locked
), promoted as (
    update job set state = 'available' from due where job.id = due.id returning job.id
), counted as (
    insert into tally (state, change)
    select moved.state, moved.sign * moved.count
    from (select count(*) as count from promoted) as all_, lateral (
        values ('scheduled', -1, all_.count), ('available', 1, all_.count)
    ) as moved (state, sign, count)
    where moved.count > 0
)
select count(*) from promoted;

-- Take the first jobs in the order rank, run_at, id: $1 of type http, behind the place ($8, $9, $10) (front.py), $2 of type exec, $3 together, with at most $4 bytes of
-- plans but at least one. If a job is due that is not available yet nothing is taken unless $7 is true: then `next_due`
-- says so, and it has to be promoted first. Those that were to start by now, or are to be cancelled, are found but not
-- taken. What others hold is passed over.
--
-- A job that was changed between the statement's snapshot and its lock is left for the next claim: its plan is an old one.
--
-- Materialized: else the planner may run the limit twice, and take too many. The first row has no job.
-- name: claim
with due as materialized (
    select min(run_at) as at from job where state = 'scheduled'
), http as materialized (
    select * from job
    where state = 'available' and type = 'http' and ($7 or not exists (select 1 from due where at <= $5))
        and (rank, run_at, id) > ($8::smallint, $9::bigint, $10::bigint)
    order by rank, run_at, id limit $1 for no key update skip locked
), exec as materialized (
    select * from job
    where state = 'available' and type = 'exec' and ($7 or not exists (select 1 from due where at <= $5))
    order by rank, run_at, id limit $2 for no key update skip locked
), first as materialized (
    select * from http union all select * from exec order by rank, run_at, id limit $3
), sized as materialized (
    select first.*, coalesce(payload.plan, '') as plan,
        sum(coalesce(octet_length(payload.plan), 0)) over earlier as bytes, row_number() over earlier as place,
        first.cancel_wished_at is not null or coalesce(first.overdue_at <= $5, false) as is_to_end
    from first left join payload on payload.job_id = first.id
    where coalesce(payload.version, first.plan_version) = first.plan_version
    window earlier as (order by first.rank, first.run_at, first.id)
), chosen as materialized (
    select * from sized where place = 1 or bytes <= $4
), taken as (
    update job
    set state = 'running', claim_seq = job.claim_seq + 1, attempt = job.attempt + 1, node_id = $6, claimed_at = $5,
        reason = '', first_started_at = coalesce(job.first_started_at, $5), overdue_at = null
    from chosen
    where job.id = chosen.id and not chosen.is_to_end
    returning chosen.*
), counted as (
    insert into tally (state, change)
    select moved.state, moved.change
    from (select count(*) as count from taken) as all_, lateral (
        values ('available', -all_.count), ('running', all_.count)
    ) as moved (state, change)
    where moved.change <> 0
), found as (
    select * from taken union all select * from chosen where is_to_end
)
select null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    (select at from due), null
union all (
    select rank, run_at, id, claim_seq + 1, attempt + 1, refunded, losses, context, created_at, $5, $6,
        queue, key, coalesce(first_started_at, $5), overdue_at, case when cancel_wished_at is not null then reason end,
        place, plan
    from found order by rank, run_at, id
);

-- Apply transitions, each only while the job is in the state and of the claim that the decision was made for: the fence.
-- One that changes nothing is not applied: it must not wipe what is known of the job's end. One that goes on running has
-- an overdue_at, and keeps its node: it tells where the attempt began. One that was decided before somebody wished to
-- cancel the job, and does not end it, leaves it overdue at once: then it is cancelled instead of going on.
-- With each goes its attempt's record, if it has one. The places of those that applied.
-- name: finish_all
with applied as (
    update job
    set state = change.state, run_at = coalesce(change.run_at, job.run_at), ended_at = change.ended_at,
        refunded = change.refunded, losses = change.losses,
        reason = case when change.ended_at is null and job.cancel_wished_at is not null then job.reason else change.reason end,
        overdue_at = case when change.ended_at is null then coalesce(job.cancel_wished_at, change.overdue_at) end,
        keep_until = change.keep_until, node_id = case change.state when 'running' then job.node_id end
    from unnest(
        $1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
        $9::text[], $10::bigint[], $11::bigint[],
        $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::text[],
        $19::bigint[], $20::text[], $21::text[], $22::bigint[], $23::bigint[], $24::bytea[], $25::bytea[], $26::bytea[],
        $27::bigint[], $28::bigint[], $29::bigint[]
    ) with ordinality as change (
        id, from_state, claim_seq, state, run_at, ended_at, refunded, losses, reason, overdue_at, keep_until,
        of_job, of_claim, number, of_node, started_at, stopped_at, outcome, exit_code, signal, error,
        size, error_size, head, text, error_text, due_at, connect, first_byte, place
    )
    where job.id = change.id and job.state = change.from_state and job.claim_seq = change.claim_seq
        and (change.state <> change.from_state or (change.state = 'running' and change.overdue_at is not null))
    returning change.*
), recorded as (
    insert into attempt (
        job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error,
        size, error_size, head, text, error_text, due_at, connect, first_byte
    )
    select of_job, of_claim, number, of_node, started_at, stopped_at, outcome, exit_code, signal, error,
        size, error_size, head, text, error_text, due_at, connect, first_byte
    from applied where outcome is not null
), counted as (
    insert into tally (state, change)
    select state, sum(change)
    from (select from_state as state, -1 as change from applied union all select state, 1 from applied) as moved
    group by state having sum(change) <> 0
)
select place from applied;

-- Running jobs whose node is gone: its heartbeat is too old, or it has no row. One that goes on past its request needs no
-- node.
-- name: expired
select rank, run_at, id, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id, 0,
    queue, key, coalesce(first_started_at, claimed_at), null,
    case when cancel_wished_at is not null then reason end, 'running',
    (select plan from payload where job_id = job.id)
from job
where state = 'running' and overdue_at is null
    and not exists (select 1 from node where node.id = job.node_id and node.beat_at >= $1)
order by id limit $2;

-- Running jobs of a node that are none of those that it knows of. One that goes on past its request needs no node.
-- name: strays
select rank, run_at, id, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id, 0,
    queue, key, coalesce(first_started_at, claimed_at), null,
    case when cancel_wished_at is not null then reason end, 'running',
    (select plan from payload where job_id = job.id)
from job
where state = 'running' and overdue_at is null and node_id = $1 and id <> all ($2::bigint[])
order by id limit $3;

-- Jobs whose overdue_at has passed: waiting ones have not started in time, running ones have fallen silent, and some of
-- both are to be cancelled.
-- name: overdue
select rank, run_at, id, claim_seq, attempt, refunded, losses, context, created_at, coalesce(claimed_at, created_at),
    coalesce(node_id, 0), 0, queue, key, coalesce(first_started_at, claimed_at, created_at), overdue_at,
    case when cancel_wished_at is not null then reason end, state, (select plan from payload where job_id = job.id)
from job
where overdue_at <= $1
order by overdue_at, id limit $2;

-- Add this process as a node whose lease starts now.
-- name: insert_node
insert into node (name, slots, started_at, beat_at) values ($1, $2, $3, $3) returning id;

-- Remove a node that has stopped.
-- name: delete_node
delete from node where id = $1;

-- Renew a node's lease; if its row is gone it comes back. The database's time.
-- name: beat
insert into node (id, name, slots, started_at, beat_at, wants_messages) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update set beat_at = excluded.beat_at
returning (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- Remove nodes that are long gone and have no jobs left.
-- name: delete_dead_nodes
delete from node
where beat_at < $1 and not exists (select 1 from job where state = 'running' and job.node_id = node.id);

-- The job slots of all live nodes.
-- name: total_slots
select coalesce(sum(slots), 0)::bigint from node where beat_at >= $1;

-- The database's time, in microseconds.
-- name: told_at
select (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- What a node wants to know each second: the time; live nodes and their slots; when the first job may be claimed; whether
-- another node wants messages; whether tokens or secrets have changed; its jobs that are to be cancelled; those of the waited ones that have ended.
-- name: look
select (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    (select count(*) from node where beat_at >= $2),
    (select coalesce(sum(slots), 0)::bigint from node where beat_at >= $2),
    case
        when exists (select 1 from job where state = 'available' and type in ('http', 'exec')) then 0
        else (select min(run_at) from job where state = 'scheduled')
    end,
    exists (select 1 from node where id <> $1 and beat_at >= $2 and wants_messages),
    (select revision from kept),
    (select string_agg(follows, ' ') from node where id <> $1 and beat_at >= $2 and follows <> ''),
    array(
        select row (id, claim_seq, reason) from job
        where node_id = $1 and state = 'running' and cancel_wished_at is not null order by id
    ),
    array(
        select waited.id from unnest($3::bigint[]) as waited (id)
        where not exists (
            select 1 from job where job.id = waited.id and state in ('scheduled', 'available', 'running')
        )
    );

-- Messages of other nodes that this one has not heard, in their order: those after the number that it has heard last of
-- each, of others those that are young enough. Up to 500, and as many as have $5 bytes, but at least one.
-- name: messages
select number, node_id, body
from (
    select number, node_id, body, sum(octet_length(body)) over (order by number) as bytes,
        row_number() over (order by number) as place
    from (
        select number, node_id, body from message
        where node_id <> $1 and sent_at >= $2 and number > coalesce(
            (select heard.number from unnest($3::bigint[], $4::bigint[]) as heard (node_id, number)
             where heard.node_id = message.node_id), 0
        )
        order by number limit 500
    ) as next
) as counted
where place = 1 or bytes <= $5
order by number;

-- Say whether a node wants messages, and which runs it follows.
-- name: want_messages
update node set wants_messages = $2, follows = $3 where id = $1;

-- Append messages, in order.
-- name: insert_messages
insert into message (node_id, sent_at, body)
select $1, (extract(epoch from clock_timestamp()) * 1000000)::bigint, one.body
from unnest($2::bytea[]) with ordinality as one (body, place) order by one.place;

-- Forget messages that are older than a minute.
-- name: delete_messages
delete from message where sent_at < (extract(epoch from clock_timestamp()) * 1000000)::bigint - 60000000;

-- Delete jobs that ended between two times, oldest end first; how many. Those with their own retention are left out.
-- name: purge
with old as materialized (
    select id from job
    where state = $1 and ended_at >= $2 and ended_at < $3 and keep_until is null
    order by ended_at, id limit $4 for update skip locked
), {deleted}
select count(*) from old;

-- Delete jobs whose own retention is over; how many.
-- name: purge_kept
with old as materialized (
    select id from job where keep_until < $1 order by keep_until, id limit $2 for update skip locked
), {deleted}
select count(*) from old;

-- Delete jobs that the transaction has locked; how many.
-- name: delete_jobs
with old as materialized (select id from unnest($1::bigint[]) as one (id)), {deleted}
select count(*) from old;

-- With the jobs of `old` goes all that belongs to them: a part of other queries.
-- name: deleted
attempts as (delete from attempt using old where attempt.job_id = old.id),
plans as (delete from payload using old where payload.job_id = old.id),
tags as (delete from tag using old where tag.job_id = old.id),
jobs as (delete from job using old where job.id = old.id returning job.state),
counted as (insert into tally (state, change) select state, -count(*) from jobs group by state)

-- Lock jobs, in the order of their ids.
-- name: lock_jobs
select id from job where id = any($1::bigint[]) order by id for no key update;

-- Change a job that does not run, and count it.
-- name: revise
with changed as (
    update job
    set state = $4, type = coalesce($5, type), rank = $6, run_at = $7, queue = $8, context = $9, key = $10,
        overdue_at = $11, refunded = $12, losses = $13, first_started_at = $14, reason = $15, ended_at = null,
        keep_until = null, cancel_wished_at = null, plan_version = plan_version + $16
    where id = $1 and state = $2 and claim_seq = $3
    returning id
)
insert into tally (state, change)
select moved.state, moved.change from changed, (values ($2, -1), ($4, 1)) as moved (state, change) where $2 <> $4;

-- Replace the plan of a job.
-- name: replace_payload
update payload set plan = $2, version = version + 1 where job_id = $1;

-- Replace the tags of a job: the old ones go.
-- name: delete_tags
delete from tag where job_id = $1;

-- Replace the tags of a job: the new ones come.
-- name: insert_tags
insert into tag (job_id, name, value) select $1, one.* from unnest($2::text[], $3::text[]) as one (name, value);

-- A sign of life of a job that goes on past its request.
-- name: extend
update job set overdue_at = $3, reason = $4
where id = $1 and claim_seq = $2 and state = 'running' and overdue_at is not null;

-- Have a running job interrupted.
-- name: wish_cancel
update job set cancel_wished_at = $3, reason = $4 where id = $1 and claim_seq = $2 and state = 'running';

-- Add an operation.
-- name: insert_operation
insert into operation (action, state, filter, reason, changes, last_id, next_id, matched, created_at, access)
values ($1, 'running', $2, $3, $4, $5, $6, $7, $8, $9) returning id;

-- How far an operation has come; one that has ended stays as it is.
-- name: save_operation
update operation
set next_id = $2, done = done + $3, skipped = skipped + $4, state = $5, ended_at = $6, error = $7
where id = $1 and state = 'running';

-- Whether an operation is not over, and where it is expected to be, if that matters. Its row is locked: of two nodes that
-- carry it out one waits for the other.
-- name: is_operation_running
select 1 from operation
where id = $1 and state = 'running' and ($2::bigint is null or next_id = $2) for no key update;

-- One operation.
-- name: operation
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where id = $1;

-- Operations, newest first.
-- name: operations
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where id < $1 order by id desc limit $2;

-- Operations that are not over, oldest first.
-- name: open_operations
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where state = 'running' order by id;

-- Forget operations that have ended long ago, a page at a time.
-- name: delete_operations
delete from operation where id = any(array(
    select id from operation where state <> 'running' and ended_at < $1 order by id limit $2 for update skip locked
));

-- The number of jobs by state.
-- name: count
select state, sum(change)::bigint from tally group by state;

-- Put together what has been counted, so that there is little to add up.
-- name: fold
with counted as (
    delete from tally where ctid = any(array(select ctid from tally limit 10000 for update skip locked))
    returning state, change
)
insert into tally (state, change)
select state, sum(change) from counted group by state having sum(change) <> 0;

-- Whether there is more than a fold leaves.
-- name: is_unfolded
select count(*) > 6 from (select 1 from tally limit 7) as found;

-- What the count of waiting jobs of a context reads. Made by the first server that has a limit on them.
-- name: make_waiting_index
create index concurrently if not exists job_waiting on job (context) where state in ('scheduled', 'available');

-- Whether it is there, be it that another node is still making it.
-- name: has_waiting_index
select indisvalid or exists (select 1 from pg_stat_progress_create_index where index_relid = indexrelid)
from pg_index where indexrelid = to_regclass('job_waiting');

-- One that was left half made.
-- name: drop_waiting_index
drop index concurrently if exists job_waiting;

-- How many jobs of a context wait; counts no further than the limit.
-- name: waiting_in
select count(*) from (
    select 1 from job where context = $1 and state in ('scheduled', 'available') limit $2
) as waiting;

-- The greatest id that a job has been given.
-- name: last_id
select case when is_called then last_value else 0 end from job_id;

-- One job with the facts of its last ended attempt.
-- name: get
select {record}
from job
join payload on payload.job_id = job.id
left join attempt on attempt.job_id = job.id
    and attempt.claim_seq = (select max(claim_seq) from attempt where job_id = job.id)
where job.id = $1;

-- Jobs by id, in the order of the ids.
-- name: get_many
select {record}
from unnest($1::bigint[]) with ordinality as wanted (id, place)
join job on job.id = wanted.id
join payload on payload.job_id = job.id
left join attempt on attempt.job_id = job.id
    and attempt.claim_seq = (select max(claim_seq) from attempt where job_id = job.id)
order by wanted.place;

-- How many jobs of a type are claimed before one; counts no further than the limit.
-- name: ahead
select count(*) from (
    select 1 from job
    where state = 'available' and type = $1 and (rank, run_at, id) < ($2, $3, $4)
    limit $5
) as before;

-- The ended attempts of a job, oldest first, without their output.
-- name: attempts
select job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, signal, error,
    size, error_size, due_at, connect, first_byte
from attempt where job_id = $1 order by claim_seq;

-- The output of one attempt, of the last where no number is given.
-- name: output
select text, error_text, head, size, error_size
from attempt where job_id = $1 and ($2::bigint is null or number = $2) order by claim_seq desc limit 1;

-- Tokens or secrets are changed: a part of other queries.
-- name: touched
touched as (update kept set revision = revision + 1)

-- Add an API token; no row if one in force has its name.
-- name: insert_token
with {touched}
insert into token (name, digest, scopes, contexts, queues, targets, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (name) where revoked_at is null do nothing
returning id;

-- Every API token, oldest first. They are few.
-- name: tokens
select id, name, digest, old_digest, old_until, scopes, contexts, queues, targets, created_at, expires_at, revoked_at,
    last_used_at
from token order by id;

-- Give a token another text; the one before works until a time.
-- name: rotate_token
with {touched}
update token set old_digest = digest, digest = $2, old_until = $3 where id = $1 and revoked_at is null returning id;

-- End a token.
-- name: revoke_token
with {touched}
update token set revoked_at = $2 where id = $1 and revoked_at is null returning id;

-- When tokens were last used.
-- name: note_tokens_used
update token set last_used_at = greatest(coalesce(last_used_at, 0), used.at)
from unnest($1::bigint[], $2::bigint[]) as used (id, at)
where token.id = used.id;

-- Append a management action to the audit log.
-- name: insert_act
insert into audit (at, who, token_id, address, action, target, count, details)
values ($1, $2, $3, $4, $5, $6, $7, $8);

-- Management actions with smaller ids, newest first.
-- name: acts
select id, at, who, token_id, address, action, target, count, details
from audit where id < $1 order by id desc limit $2;

-- Delete the oldest management actions from before a time.
-- name: purge_acts
delete from audit where id = any(array(
    select id from audit where at < $1 order by at, id limit $2 for update skip locked
));

-- Every kept secret, oldest first. They are few.
-- name: secrets
select id, name, kind, sealed, created_at, until from secret order by id;

-- Keep a secret.
-- name: insert_secret
with {touched}
insert into secret (name, kind, sealed, created_at) values ($1, $2, $3, $4) returning id;

-- The secrets of a name are in force until a time, if no earlier one ends them.
-- name: end_secrets
update secret set until = $3 where kind = $1 and name = $2 and (until is null or until > $3);

-- Delete secrets of a name that are not in force any more.
-- name: delete_ended_secrets
delete from secret where kind = $1 and name = $2 and until <= $3;

-- Delete the secrets of a name.
-- name: delete_secrets
with {touched}
delete from secret where kind = $1 and name = $2;

-- Seal secrets anew, by their ids.
-- name: reseal_secrets
with {touched}
update secret set sealed = new.sealed
from unnest($1::bigint[], $2::text[]) as new (id, sealed)
where secret.id = new.id;

-- Wake other nodes.
-- name: notify
select pg_notify($1, $2);
