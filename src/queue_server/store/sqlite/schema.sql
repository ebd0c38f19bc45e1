-- Made from the migrations by tools/schema.py; not to be edited.

CREATE TABLE attempt (
    job_id     integer not null,
    claim_seq  integer not null,
    number     integer not null,
    node_id    integer not null,
    started_at integer not null,
    ended_at   integer not null,
    outcome    text    not null,
    exit_code  integer,
    signal     text,
    error      text,
    size       integer not null,
    error_size integer not null,
    head       blob    not null,
    text       blob    not null,
    error_text blob    not null, due_at integer, connect integer, first_byte integer,
    primary key (job_id, claim_seq)
) strict, without rowid;

CREATE TABLE audit (
    id       integer primary key autoincrement,
    at       integer not null,
    who      text    not null,
    token_id integer,
    address  text    not null,
    action   text    not null,
    target   text    not null,
    count    integer,
    details  text    not null
) strict;

CREATE INDEX audit_at on audit (at, id);

CREATE TABLE job (
    id         integer primary key,
    state      text    not null check (state in ('scheduled', 'available', 'running', 'completed', 'failed', 'cancelled')),
    type       text    not null check (type in ('http', 'exec')),
    rank       integer not null,
    run_at     integer not null,
    claim_seq  integer not null default 0,
    attempt    integer not null default 0,
    refunded   integer not null default 0,
    losses     integer not null default 0,
    node_id    integer,
    context    text    not null,
    created_at integer not null,
    claimed_at integer,
    ended_at   integer,
    reason     text    not null default '',
    parent_id  integer
, queue text not null default 'default', key text, first_started_at integer, overdue_at integer, keep_until integer, cancel_wished_at integer) strict;

CREATE INDEX job_claim on job (type, rank, run_at, id) where state = 'available';

CREATE INDEX job_context on job (context, id) where context <> 'default';

CREATE INDEX job_created on job (created_at, id);

CREATE INDEX job_due on job (run_at, id) where state = 'scheduled';

CREATE INDEX job_ended on job (state, ended_at, id) where ended_at is not null;

CREATE INDEX job_exec on job (type, id) where type = 'exec';

CREATE INDEX job_kept on job (keep_until, id) where keep_until is not null;

CREATE INDEX job_key on job (key, id) where key is not null;

CREATE INDEX job_overdue on job (overdue_at, id) where overdue_at is not null;

CREATE INDEX job_parent on job (parent_id, id) where parent_id is not null;

CREATE INDEX job_queue on job (queue, id) where queue <> 'default';

CREATE INDEX job_state on job (state, id);

CREATE TABLE node (
    id         integer primary key autoincrement,
    name       text    not null,
    slots      integer not null,
    started_at integer not null,
    beat_at    integer not null
) strict;

CREATE TABLE once (
    scope       text    not null,
    key         text    not null,
    fingerprint blob    not null,
    job_id      integer not null,
    until       integer not null,
    primary key (scope, key)
) strict, without rowid;

CREATE INDEX once_until on once (until);

CREATE TABLE operation (
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
, access text) strict;

CREATE INDEX operation_running on operation (id) where state = 'running';

CREATE TABLE payload (
    job_id integer primary key,
    plan   blob    not null
) strict;

CREATE TABLE secret (
    id         integer primary key autoincrement,
    name       text    not null,
    kind       text    not null check (kind in ('value', 'signing')),
    sealed     text    not null,
    created_at integer not null,
    until      integer
) strict;

CREATE INDEX secret_name on secret (kind, name);

CREATE TABLE sequence (
    name text    primary key,
    next integer not null
) strict, without rowid;

CREATE TABLE tag (
    name   text    not null,
    value  text    not null,
    job_id integer not null,
    primary key (name, value, job_id)
) strict, without rowid;

CREATE INDEX tag_job on tag (job_id);

CREATE TABLE token (
    id             integer primary key autoincrement,
    name           text    not null,
    digest         blob    not null unique,
    old_digest     blob    unique,
    old_until      integer,
    scopes         text    not null,
    contexts       text,
    queues         text,
    targets        text,
    created_at     integer not null,
    expires_at     integer,
    revoked_at     integer,
    last_used_at   integer
) strict;

CREATE UNIQUE INDEX token_name on token (name) where revoked_at is null;
