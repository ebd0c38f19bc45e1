-- Tokens of clients, secrets at rest, and who has done what.

create table token (
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
create unique index token_name on token (name) where revoked_at is null;

create table secret (
    id         integer primary key autoincrement,
    name       text    not null,
    kind       text    not null check (kind in ('value', 'signing')),
    sealed     text    not null,
    created_at integer not null,
    until      integer
) strict;
create index secret_name on secret (kind, name);

create table audit (
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
create index audit_at on audit (at, id);

-- Who has asked for an operation, as JSON; null for one of the time before there were tokens.
alter table operation add column access text;
