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
    error_text blob    not null,
    primary key (job_id, claim_seq)
) strict, without rowid;

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
) strict;

CREATE INDEX job_claim on job (type, rank, run_at, id) where state = 'available';

CREATE INDEX job_due on job (run_at, id) where state = 'scheduled';

CREATE INDEX job_ended on job (state, ended_at, id) where ended_at is not null;

CREATE INDEX job_running on job (node_id, id) where state = 'running';

CREATE TABLE node (
    id         integer primary key autoincrement,
    name       text    not null,
    slots      integer not null,
    started_at integer not null,
    beat_at    integer not null
) strict;

CREATE TABLE payload (
    job_id integer primary key,
    plan   blob    not null
) strict;

CREATE TABLE sequence (
    name text    primary key,
    next integer not null
) strict, without rowid;
