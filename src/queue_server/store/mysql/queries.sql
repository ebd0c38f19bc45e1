-- Every query of the MySQL and MariaDB store. Parameters are bound by position.
--
-- {rows} stands for many rows of values, and a JSON text that JSON_TABLE reads for a list of ids or rows (see bulk.py).
-- `straight_join` and `force index` are there because the planner's statistics are of another hour: a queue is empty one
-- moment and a million long the next.

-- Add jobs. Their ids follow each other.
-- name: insert_jobs
insert into job (state, type, `rank`, run_at, context, created_at, parent_id, queue, `key`, overdue_at) values {rows};

-- Add their plans.
-- name: insert_payloads
insert into payload (job_id, plan) values {rows};

-- Add their tags.
-- name: insert_tags
insert into tag (name, value, job_id) values {rows};

-- What is known of idempotency keys: a JSON list of their hashes, as hexadecimal digits.
-- name: load_once
select once.hash, once.job_id, once.fingerprint, exists (select 1 from job where job.id = once.job_id)
from json_table(?, '$[*]' columns (hash char(64) path '$')) as wanted
straight_join once on once.hash = unhex(wanted.hash);

-- Keep idempotency keys.
-- name: insert_once
insert into once (hash, fingerprint, job_id, until) values {rows};

-- Forget idempotency keys whose time is over, a page at a time.
-- name: delete_once
delete from once where until < ? order by until, hash limit ?;

-- Count how jobs have come to states and left them.
-- name: insert_tally
insert into tally (state, `change`) values {rows};

-- Some counts, those that nobody else is adding up.
-- name: take_tally
select id, state, `change` from tally order by id limit ? for update skip locked;

-- Delete counts that have been added up: a JSON list of ids.
-- name: delete_tally
delete tally from json_table(?, '$[*]' columns (id bigint path '$')) as taken straight_join tally on tally.id = taken.id;

-- The number of jobs by state.
-- name: count
select state, cast(sum(`change`) as signed) from tally group by state;

-- The first due jobs, those that nobody else is making available.
-- name: due
select id from job force index (job_due)
where state = 'scheduled' and run_at <= ? order by run_at, id limit ? for update skip locked;

-- Make due jobs available: a JSON list of ids.
-- name: promote
update json_table(?, '$[*]' columns (id bigint path '$')) as due straight_join job on job.id = due.id
set job.state = 'available';

-- When the next scheduled job becomes due.
-- name: next_due
select run_at from job force index (job_due) where state = 'scheduled' order by run_at limit 1;

-- The first available jobs of a type behind a place in the claim's order, those that nobody else is taking, with the size
-- of their plans. Each part of the place's condition is one range of the index; a comparison of tuples would be none.
-- name: claimable
select job.rank, job.run_at, job.id, claim_seq + 1, attempt + 1, refunded, losses, context, created_at,
    cast(? as signed), cast(? as signed),
    coalesce((select length(plan) from payload where payload.job_id = job.id), 0),
    queue, job.key, coalesce(first_started_at, ?), overdue_at, case when cancel_wished_at is not null then reason end
from job force index (job_claim)
where state = 'available' and type = ?
    and (job.rank > ? or (job.rank = ? and job.run_at > ?) or (job.rank = ? and job.run_at = ? and job.id > ?))
order by job.rank, job.run_at, job.id limit ? for update skip locked;

-- Take jobs: a JSON list of ids. They are available: this is the transaction that has just locked them.
-- name: claim
update json_table(?, '$[*]' columns (id bigint path '$')) as taken straight_join job on job.id = taken.id
set job.state = 'running', job.claim_seq = job.claim_seq + 1, job.attempt = job.attempt + 1, job.node_id = ?,
    job.claimed_at = ?, job.reason = '', job.first_started_at = coalesce(job.first_started_at, ?),
    job.overdue_at = null;

-- The plans of jobs: a JSON list of ids.
-- name: plans
select payload.job_id, payload.plan
from json_table(?, '$[*]' columns (id bigint path '$')) as wanted straight_join payload on payload.job_id = wanted.id;

-- Lock jobs, in the order of a JSON list of ids, and say what a transition has to fit.
-- name: lock_jobs
select job.id, job.state, job.claim_seq, job.run_at, job.node_id, job.cancel_wished_at,
    case when job.cancel_wished_at is not null then job.reason end
from json_table(?, '$[*]' columns (id bigint path '$')) as wanted straight_join job on job.id = wanted.id
for update;

-- Apply transitions of locked jobs, whose fence has been seen to hold.
-- name: finish
update json_table(?, '$[*]' columns (
    id bigint path '$[0]', state varchar(9) path '$[1]', run_at bigint path '$[2]', ended_at bigint path '$[3]',
    refunded bigint path '$[4]', losses bigint path '$[5]', reason mediumtext path '$[6]', overdue_at bigint path '$[7]',
    keep_until bigint path '$[8]', node_id bigint path '$[9]'
)) as changed straight_join job on job.id = changed.id
set job.state = changed.state, job.run_at = changed.run_at, job.ended_at = changed.ended_at,
    job.refunded = changed.refunded, job.losses = changed.losses, job.reason = changed.reason,
    job.overdue_at = changed.overdue_at, job.keep_until = changed.keep_until, job.node_id = changed.node_id,
    job.wished_of = null;

-- Record ended attempts.
-- name: insert_attempts
insert into attempt (
    job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, `signal`, error,
    size, error_size, head, text, error_text, due_at, connect, first_byte
) values {rows};

-- Running jobs whose node is gone: it has not been heard of since a time, or is not there. One that goes on past its
-- request needs no node. Only running jobs have a node: the inner query takes one step of the index for each of these.
-- name: expired
select job.rank, job.run_at, job.id, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id, 0,
    queue, job.key, coalesce(first_started_at, claimed_at), null,
    case when cancel_wished_at is not null then reason end, state, plan
from (select node_id as id from job force index (job_node) where node_id is not null group by node_id) as held
left join node on node.id = held.id
straight_join job force index (job_node) on job.node_id = held.id and job.overdue_at is null
left join payload on payload.job_id = job.id
where job.state = 'running' and (node.id is null or node.beat_at < ?)
order by job.id limit ?;

-- Running jobs of a node that are none of those that it knows of. One that goes on past its request needs no node.
-- name: strays
select job.rank, job.run_at, job.id, claim_seq, attempt, refunded, losses, context, created_at, claimed_at, node_id, 0,
    queue, job.key, coalesce(first_started_at, claimed_at), null,
    case when cancel_wished_at is not null then reason end, state, plan
from job force index (job_node)
straight_join payload on payload.job_id = job.id
where node_id = ? and overdue_at is null and state = 'running'
    and job.id not in (select known.id from json_table(?, '$[*]' columns (id bigint path '$')) as known)
order by job.id limit ?;

-- Jobs whose overdue_at has passed: waiting ones have not started in time, running ones have fallen silent, and some of
-- both are to be cancelled.
-- name: overdue
select job.rank, job.run_at, job.id, claim_seq, attempt, refunded, losses, context, created_at,
    coalesce(claimed_at, created_at), coalesce(node_id, 0), 0, queue, job.key,
    coalesce(first_started_at, claimed_at, created_at), overdue_at,
    case when cancel_wished_at is not null then reason end, state, plan
from job force index (job_overdue)
left join payload on payload.job_id = job.id
where overdue_at <= ?
order by overdue_at, job.id limit ?;

-- Add this process as a node whose lease starts now.
-- name: insert_node
insert into node (name, slots, started_at, beat_at) values (?, ?, ?, ?);

-- Add a node again that somebody took for dead.
-- name: restore_node
insert into node (id, name, slots, started_at, beat_at) values (?, ?, ?, ?, ?)
on duplicate key update beat_at = greatest(beat_at, ?);

-- Remove a node that has stopped.
-- name: delete_node
delete from node where id = ?;

-- Nodes that have been silent since a time.
-- name: silent_nodes
select id from node where beat_at < ?;

-- Whether a node has jobs left that must be rescued.
-- name: has_running_jobs
select 1 from job force index (job_node) where node_id = ? and state = 'running' limit 1;

-- Renew a node's lease.
-- name: beat
update node set beat_at = greatest(beat_at, ?) where id = ?;

-- The job slots of the nodes that have been heard of since a time.
-- name: total_slots
select cast(coalesce(sum(slots), 0) as signed) from node where beat_at >= ?;

-- What a node learns of the others: the time, how many nodes and slots there are, whether another one wants messages, and
-- when the first job may be claimed.
-- name: look
select cast(unix_timestamp(now(6)) * 1000000 as signed), count(*), cast(coalesce(sum(slots), 0) as signed),
    coalesce(max(wants_messages and node.id <> ?), 0),
    (select 0 from job force index (job_claim) where state = 'available' limit 1),
    (select run_at from job force index (job_due) where state = 'scheduled' order by run_at limit 1),
    (select revision from kept where only = 1)
from node where beat_at >= ?;

-- Running jobs of a node that are to be interrupted.
-- name: wishes
select id, claim_seq, reason from job force index (job_wished)
where wished_of = ? and state = 'running' and node_id = wished_of and cancel_wished_at is not null
order by id;

-- Which of some jobs have not ended: a JSON list of ids.
-- name: unended
select job.id from json_table(?, '$[*]' columns (id bigint path '$')) as waited straight_join job on job.id = waited.id
where job.state in ('scheduled', 'available', 'running');

-- The runs that other live nodes follow.
-- name: follows
select follows from node where id <> ? and beat_at >= ? and follows <> '';

-- Say whether a node wants to hear messages, and which runs it follows.
-- name: want_messages
update node set wants_messages = ?, follows = ? where id = ?;

-- Append messages of a node.
-- name: insert_messages
insert into message (node_id, number, sent_at, body) values {rows};

-- Delete messages that are older than a time.
-- name: delete_messages
delete from message where sent_at < ? order by sent_at limit ?;

-- Messages of one node after a number.
-- name: messages_of
select node_id, number, body from message where node_id = ? and number > ? order by number limit ?;

-- The last message of every other node.
-- name: last_messages
select node_id, max(number) from message where node_id <> ? group by node_id;

-- Messages of one node since a time.
-- name: messages_since
select node_id, number, body from message where node_id = ? and sent_at >= ? order by number limit ?;

-- Jobs that ended between two times, oldest end first. Those with their own retention are left out; where one page ends the
-- next begins, so that they are not passed over again and again.
-- name: purgeable
select id from job force index (job_ended)
where state = ? and ended_at >= ? and ended_at < ? and keep_until is null
order by ended_at, id limit ? for update;

-- Jobs whose own retention is over.
-- name: kept_too_long
select id, state from job force index (job_kept) where keep_until < ? order by keep_until, id limit ? for update;

-- Delete jobs: a JSON list of ids. Their plans, attempts and tags go with the next three.
-- name: delete_jobs
delete job from json_table(?, '$[*]' columns (id bigint path '$')) as gone straight_join job on job.id = gone.id;

-- Delete the plans of jobs.
-- name: delete_payloads
delete payload
from json_table(?, '$[*]' columns (id bigint path '$')) as gone straight_join payload on payload.job_id = gone.id;

-- Delete the attempts of jobs.
-- name: delete_attempts
delete attempt
from json_table(?, '$[*]' columns (id bigint path '$')) as gone straight_join attempt on attempt.job_id = gone.id;

-- Delete the tags of jobs.
-- name: delete_tags
delete tag
from json_table(?, '$[*]' columns (id bigint path '$')) as gone straight_join tag force index (tag_job) on tag.job_id = gone.id;

-- Change jobs that do not run, which are locked: a JSON list of rows.
-- name: revise
update json_table(?, '$[*]' columns (
    id bigint path '$[0]', state varchar(9) path '$[3]', type varchar(4) path '$[4]', rank_ bigint path '$[5]',
    run_at bigint path '$[6]', queue varchar(128) path '$[7]', context varchar(255) path '$[8]',
    key_ varchar(255) path '$[9]', overdue_at bigint path '$[10]', refunded bigint path '$[11]',
    losses bigint path '$[12]', first_started_at bigint path '$[13]', reason mediumtext path '$[14]'
)) as changed straight_join job on job.id = changed.id
set job.state = changed.state, job.type = coalesce(changed.type, job.type), job.rank = changed.rank_,
    job.run_at = changed.run_at, job.queue = changed.queue, job.context = changed.context, job.key = changed.key_,
    job.overdue_at = changed.overdue_at, job.refunded = changed.refunded, job.losses = changed.losses,
    job.first_started_at = changed.first_started_at, job.reason = changed.reason, job.ended_at = null,
    job.keep_until = null, job.cancel_wished_at = null, job.wished_of = null;

-- Replace the plan of a job.
-- name: replace_payload
update payload set plan = ? where job_id = ?;

-- A sign of life of jobs that go on past their request: a JSON list of rows.
-- name: extend
update json_table(?, '$[*]' columns (
    id bigint path '$[0]', claim_seq bigint path '$[1]', overdue_at bigint path '$[2]', reason mediumtext path '$[3]'
)) as changed straight_join job on job.id = changed.id
set job.overdue_at = changed.overdue_at, job.reason = changed.reason
where job.claim_seq = changed.claim_seq and job.state = 'running' and job.overdue_at is not null;

-- Have running jobs interrupted: a JSON list of rows.
-- name: wish_cancel
update json_table(?, '$[*]' columns (
    id bigint path '$[0]', claim_seq bigint path '$[1]', wished_at bigint path '$[2]', reason mediumtext path '$[3]'
)) as wished straight_join job on job.id = wished.id
set job.cancel_wished_at = wished.wished_at, job.wished_of = job.node_id, job.reason = wished.reason
where job.claim_seq = wished.claim_seq and job.state = 'running';

-- Add an operation.
-- name: insert_operation
insert into operation (action, filter, reason, changes, last_id, next_id, matched, created_at, access, state)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, 'running');

-- How far an operation has come; one that has ended stays as it is.
-- name: save_operation
update operation
set next_id = ?, done = done + ?, skipped = skipped + ?, state = ?, ended_at = ?, error = ?
where id = ? and state = 'running';

-- Whether an operation is not over, and where it is expected to be, if that matters. It stays so until this transaction
-- ends.
-- name: is_operation_running
select 1 from operation where id = ? and state = 'running' and next_id = coalesce(?, next_id) for update;

-- One operation.
-- name: operation
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where id = ?;

-- Operations, newest first.
-- name: operations
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where id < ? order by id desc limit ?;

-- Operations that are not over, oldest first.
-- name: open_operations
select id, action, state, filter, reason, changes, last_id, next_id, matched, done, skipped, created_at, ended_at, error,
    access
from operation where state = 'running' order by id;

-- Forget operations that have ended long ago, a page at a time.
-- name: delete_operations
delete from operation where state <> 'running' and ended_at < ? order by id limit ?;

-- One job with the facts of its last ended attempt.
-- name: get
select {record}
from job
straight_join payload on payload.job_id = job.id
left join attempt on attempt.job_id = job.id
    and attempt.claim_seq = (select max(claim_seq) from attempt as last where last.job_id = job.id)
where job.id = ?;

-- Jobs with the facts of their last ended attempts: a JSON list of ids.
-- name: get_many
select {record}
from json_table(?, '$[*]' columns (id bigint path '$')) as wanted
straight_join job on job.id = wanted.id
straight_join payload on payload.job_id = job.id
left join attempt on attempt.job_id = job.id
    and attempt.claim_seq = (select max(claim_seq) from attempt as last where last.job_id = job.id);

-- How many jobs of a type are claimed before one; counts no further than the limit. Each part is one range of the index.
-- name: ahead
select count(*) from (
    (select 1 from job force index (job_claim) where state = 'available' and type = ? and job.rank < ? limit ?)
    union all
    (select 1 from job force index (job_claim)
    where state = 'available' and type = ? and job.rank = ? and job.run_at < ? limit ?)
    union all
    (select 1 from job force index (job_claim)
    where state = 'available' and type = ? and job.rank = ? and job.run_at = ? and job.id < ? limit ?)
) as earlier;

-- The ended attempts of a job, oldest first, without their output.
-- name: attempts
select job_id, claim_seq, number, node_id, started_at, ended_at, outcome, exit_code, `signal`, error,
    size, error_size, due_at, connect, first_byte
from attempt where job_id = ? order by claim_seq;

-- The output of the last attempt of a job.
-- name: last_output
select text, error_text, head, size, error_size from attempt where job_id = ? order by claim_seq desc limit 1;

-- The output of one attempt.
-- name: output
select text, error_text, head, size, error_size
from attempt where job_id = ? and number = ? order by claim_seq desc limit 1;

-- How many jobs of a context wait; counts no further than the limit. Its index is made when somebody wants to know.
-- name: waiting_in
select count(*) from (
    select 1 from job force index (job_waiting)
    where context = ? and state in ('scheduled', 'available') limit ?
) as waiting;

-- Whether the index for it is there.
-- name: has_waiting_index
select count(*) from information_schema.statistics
where table_schema = database() and table_name = 'job' and index_name = 'job_waiting';

-- Make it.
-- name: make_waiting_index
create index job_waiting on job (context, state, id);

-- Tokens or secrets are changed.
-- name: touch_kept
update kept set revision = revision + 1 where only = 1;

-- Add an API token.
-- name: insert_token
insert into token (name, digest, scopes, contexts, queues, targets, created_at, expires_at, active_name)
values (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- Whether a token in force has a name.
-- name: is_name_taken
select 1 from token where active_name = ? for update;

-- Every API token, oldest first. They are few.
-- name: tokens
select id, name, digest, old_digest, old_until, scopes, contexts, queues, targets, created_at, expires_at, revoked_at,
    last_used_at
from token order by id;

-- Give a token another text; the one before works until a time. Assignments are made from left to right.
-- name: rotate_token
update token set old_digest = digest, digest = ?, old_until = ? where id = ? and revoked_at is null;

-- End a token.
-- name: revoke_token
update token set revoked_at = ?, active_name = null where id = ? and revoked_at is null;

-- When tokens were last used: a JSON list of their ids and times.
-- name: note_tokens_used
update json_table(?, '$[*]' columns (id bigint path '$[0]', at bigint path '$[1]')) as used
straight_join token on token.id = used.id
set token.last_used_at = greatest(coalesce(token.last_used_at, 0), used.at);

-- Append a management action to the audit log.
-- name: insert_act
insert into audit (at, who, token_id, address, action, target, `count`, details) values (?, ?, ?, ?, ?, ?, ?, ?);

-- Management actions with smaller ids, newest first.
-- name: acts
select id, at, who, token_id, address, action, target, `count`, details from audit where id < ? order by id desc limit ?;

-- Delete the oldest management actions from before a time.
-- name: purge_acts
delete from audit where at < ? order by at, id limit ?;

-- Every kept secret, oldest first. They are few.
-- name: secrets
select id, name, kind, sealed, created_at, until from secret order by id;

-- Keep a secret.
-- name: insert_secret
insert into secret (name, kind, sealed, created_at) values (?, ?, ?, ?);

-- The secrets of a name are in force until a time, if no earlier one ends them.
-- name: end_secrets
update secret set until = ? where kind = ? and name = ? and (until is null or until > ?);

-- Delete secrets of a name that are not in force any more.
-- name: delete_ended_secrets
delete from secret where kind = ? and name = ? and until <= ?;

-- Delete the secrets of a name.
-- name: delete_secrets
delete from secret where kind = ? and name = ?;

-- Seal secrets anew: a JSON list of their ids and sealed texts.
-- name: reseal_secrets
update json_table(?, '$[*]' columns (id bigint path '$[0]', sealed mediumtext path '$[1]')) as sealed_again
straight_join secret on secret.id = sealed_again.id
set secret.sealed = sealed_again.sealed;

-- The greatest id that a job has been given, also one that is deleted.
-- name: last_id
select cast(greatest(
    coalesce((select max(id) from job), 0),
    coalesce((select auto_increment from information_schema.tables
        where table_schema = database() and table_name = 'job'), 1) - 1
) as signed);
