-- Storage parameters: rows of these tables come and go all the time. Autovacuum waits by default until a fifth of a table
-- is dead; a claim that steps over so many dead rows takes ten times as long.

create sequence job_id as bigint;

-- Pages keep room (fillfactor), so that a job's new versions stay on its page. Autovacuum comes after 2 % of dead rows and
-- works without pauses; it analyzes early too, as a new table fills fast.
create table job (
    id               bigint   primary key,
    state            text     not null check (state in ('scheduled', 'available', 'running', 'completed', 'failed', 'cancelled')),
    type             text     not null check (type in ('http', 'exec')),
    rank             smallint not null,
    run_at           bigint   not null,
    claim_seq        bigint   not null default 0,
    attempt          bigint   not null default 0,
    refunded         bigint   not null default 0,
    losses           bigint   not null default 0,
    node_id          bigint,
    context          text     not null collate "C",
    created_at       bigint   not null,
    claimed_at       bigint,
    first_started_at bigint,
    ended_at         bigint,
    overdue_at       bigint,
    keep_until       bigint,
    cancel_wished_at bigint,
    parent_id        bigint,
    queue            text     not null collate "C",
    key              text     collate "C",
    reason           text     not null default '',
    plan_version     int      not null default 0
) with (
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 500
);

-- For queries: claim, promote and next_due, wishes of a look, overdue, expired.
create index job_claim on job (type, rank, run_at, id) where state = 'available';
create index job_due on job (run_at, id) where state = 'scheduled';
create index job_wished on job (node_id, id) where state = 'running' and cancel_wished_at is not null;
create index job_overdue on job (overdue_at, id) where overdue_at is not null;
create index job_running on job (id) where state = 'running';
-- For purges.
create index job_ended on job (state, ended_at, id) where ended_at is not null;
create index job_kept on job (keep_until, id) where keep_until is not null;
-- For lists.
create index job_state on job (state, id);
create index job_created on job (created_at, id);
create index job_parent on job (parent_id, id) where parent_id is not null;
create index job_key on job (key, id) where key is not null;
create index job_queue on job (queue, id) where queue <> 'default';
create index job_context on job (context, id) where context <> 'default';
create index job_exec on job (type, id) where type = 'exec';

-- `version` is the job's plan_version: whoever locks a job that has just been changed sees, by an older snapshot, its old plan.
-- Plans are JSON of some hundred bytes; compressing them costs more than it saves. Rows are inserted and deleted only,
-- so that pages need no room, but deletes come in pages of thousands: without a pause, and early.
create table payload (
    job_id  bigint primary key,
    plan    bytea  not null,
    version int    not null default 0
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
alter table payload alter column plan set storage external;

create table tag (
    name   text   not null collate "C",
    value  text   not null collate "C",
    job_id bigint not null,
    primary key (name, value, job_id)
);
create index tag_job on tag (job_id);

-- As payload: inserted once, deleted in pages.
create table attempt (
    job_id     bigint not null,
    claim_seq  bigint not null,
    number     bigint not null,
    node_id    bigint not null,
    started_at bigint not null,
    ended_at   bigint not null,
    outcome    text   not null,
    exit_code  bigint,
    signal     text,
    error      text,
    size       bigint not null,
    error_size bigint not null,
    head       bytea  not null,
    text       bytea  not null,
    error_text bytea  not null,
    due_at     bigint,
    connect    bigint,
    first_byte bigint,
    primary key (job_id, claim_seq)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- `hash` is the SHA-256 of scope and key. Keys end in the order of their times: dead rows gather in one place of the index.
create table once (
    hash        bytea  primary key,
    fingerprint bytea  not null,
    job_id      bigint not null,
    until       bigint not null
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index once_until on once (until);

-- How many jobs came to each state (or left it, below zero); the sum of all rows is how many there are. A few rows live and
-- thousands are dead a minute later: autovacuum looks at their number only, and comes whenever it may.
create table tally (
    state  text   not null,
    change bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

-- A few rows, each written every few seconds: with half of a page free they never leave it.
create table node (
    id             bigint  generated by default as identity primary key,
    name           text    not null,
    slots          bigint  not null,
    started_at     bigint  not null,
    beat_at        bigint  not null,
    wants_messages boolean not null default false,
    follows        text    not null default ''
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50);

-- Not logged: messages may be lost with the database, and cost no fsync.
create unlogged table message (
    number  bigint generated always as identity primary key,
    node_id bigint not null,
    sent_at bigint not null,
    body    bytea  not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index message_sent on message (sent_at);

create table operation (
    id         bigint generated by default as identity primary key,
    action     text   not null check (action in ('cancel', 'retry', 'delete')),
    state      text   not null check (state in ('running', 'completed', 'cancelled', 'failed')),
    filter     text   not null,
    reason     text   not null,
    changes    text   not null,
    last_id    bigint not null,
    next_id    bigint not null,
    matched    bigint not null,
    done       bigint not null default 0,
    skipped    bigint not null default 0,
    created_at bigint not null,
    ended_at   bigint,
    error      text,
    access     text
);
create index operation_running on operation (id) where state = 'running';

create table token (
    id           bigint generated by default as identity primary key,
    name         text   not null collate "C",
    digest       bytea  not null unique,
    old_digest   bytea  unique,
    old_until    bigint,
    scopes       text   not null,
    contexts     text,
    queues       text,
    targets      text,
    created_at   bigint not null,
    expires_at   bigint,
    revoked_at   bigint,
    last_used_at bigint
);
create unique index token_name on token (name) where revoked_at is null;

create table secret (
    id         bigint generated by default as identity primary key,
    name       text   not null collate "C",
    kind       text   not null check (kind in ('value', 'signing')),
    sealed     text   not null,
    created_at bigint not null,
    until      bigint
);
create index secret_name on secret (kind, name);

-- Grows with each change of tokens and secrets, so that a look at one number tells whether they have to be read again.
create table kept (
    revision bigint not null
);
insert into kept (revision) values (0);

create table audit (
    id       bigint generated by default as identity primary key,
    at       bigint not null,
    who      text   not null,
    token_id bigint,
    address  text   not null,
    action   text   not null,
    target   text   not null,
    count    bigint,
    details  text   not null
);
create index audit_at on audit (at, id);
