-- Queues, keys, tags and limits of jobs; idempotency keys; operations on many jobs; and the indexes of their lists.

alter table job add column queue text not null default 'default';
alter table job add column key text;
alter table job add column first_started_at integer;
alter table job add column overdue_at integer;
alter table job add column keep_until integer;
alter table job add column cancel_wished_at integer;

alter table attempt add column due_at integer;
alter table attempt add column connect integer;
alter table attempt add column first_byte integer;

drop index job_running;
create index job_state on job (state, id);
create index job_created on job (created_at, id);
create index job_context on job (context, id) where context <> 'default';
create index job_queue on job (queue, id) where queue <> 'default';
create index job_key on job (key, id) where key is not null;
create index job_exec on job (type, id) where type = 'exec';
create index job_parent on job (parent_id, id) where parent_id is not null;
create index job_overdue on job (overdue_at, id) where overdue_at is not null;
create index job_kept on job (keep_until, id) where keep_until is not null;

create table tag (
    name   text    not null,
    value  text    not null,
    job_id integer not null,
    primary key (name, value, job_id)
) strict, without rowid;
create index tag_job on tag (job_id);

create table once (
    scope       text    not null,
    key         text    not null,
    fingerprint blob    not null,
    job_id      integer not null,
    until       integer not null,
    primary key (scope, key)
) strict, without rowid;
create index once_until on once (until);

create table operation (
    id         integer primary key autoincrement,
    action     text    not null check (action in ('cancel', 'retry', 'delete')),
    state      text    not null check (state in ('running', 'completed', 'cancelled', 'failed')),
    filter     text    not null,
    reason     text    not null,
    changes    text    not null,
    last_id    integer not null,
    next_id    integer not null,
    matched    integer not null,
    done       integer not null default 0,
    skipped    integer not null default 0,
    created_at integer not null,
    ended_at   integer,
    error      text
) strict;
create index operation_running on operation (id) where state = 'running';
