-- A running server process. Every start is a new row, and ids are never used again: they tell one run from the next.
create table node (
    id         integer primary key autoincrement,
    name       text    not null,
    slots      integer not null,
    started_at integer not null,
    beat_at    integer not null
) strict;

-- The next id of a table whose rows are deleted while their ids must not come again.
create table sequence (
    name text    primary key,
    next integer not null
) strict, without rowid;
insert into sequence (name, next) values ('job', 1);

-- A job without its payload, so that the rows which claims and completions rewrite stay small.
-- rank is 1000 - priority: one ascending index then gives the claim's order.
create table job (
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

-- For claim: due jobs of one type in the order in which they run.
create index job_claim on job (type, rank, run_at, id) where state = 'available';
-- For promote and next_due: what becomes due next.
create index job_due on job (run_at, id) where state = 'scheduled';
-- For expired: the running jobs of a node.
create index job_running on job (node_id, id) where state = 'running';
-- For purge and count: ended jobs by state and end. (SQLite does not see that `state = ?` is one of `state in (…)`, but it
-- does see that `ended_at < ?` is not null.)
create index job_ended on job (state, ended_at, id) where ended_at is not null;

create table payload (
    job_id integer primary key,
    plan   blob    not null
) strict;

-- One ended run of a job. The outputs stand last: a reader of the other columns does not touch their pages.
create table attempt (
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
