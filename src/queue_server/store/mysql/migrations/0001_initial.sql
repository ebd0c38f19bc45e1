-- {collation} is the one that tells texts apart by their bytes: utf8mb4_nopad_bin (MariaDB) or utf8mb4_0900_bin (MySQL).
-- DDL is no transaction here, so every statement may be repeated after a crash.
--
-- There are no partial indexes: a column that is mostly null costs its index one entry at the end of the nulls per job.
create table if not exists job (
    id               bigint not null auto_increment primary key,
    state            enum ('scheduled', 'available', 'running', 'completed', 'failed', 'cancelled') not null,
    type             enum ('http', 'exec') not null,
    `rank`           smallint not null,
    run_at           bigint not null,
    claim_seq        bigint not null default 0,
    attempt          bigint not null default 0,
    refunded         bigint not null default 0,
    losses           bigint not null default 0,
    node_id          bigint,
    wished_of        bigint,
    context          varchar(255) not null,
    created_at       bigint not null,
    claimed_at       bigint,
    first_started_at bigint,
    ended_at         bigint,
    overdue_at       bigint,
    keep_until       bigint,
    cancel_wished_at bigint,
    parent_id        bigint,
    queue            varchar(128) not null,
    `key`            varchar(255),
    reason           mediumtext not null default (''),
    index job_claim (state, type, `rank`, run_at, id),
    index job_due (state, run_at, id),
    index job_state (state, id),
    index job_ended (state, ended_at, id),
    index job_created (created_at, id),
    index job_node (node_id, overdue_at, id),
    index job_kept (keep_until, id),
    index job_overdue (overdue_at, id),
    index job_wished (wished_of, id),
    index job_parent (parent_id, id),
    index job_key (`key`, id),
    index job_queue (queue, id),
    index job_context (context, id),
    index job_exec (type, id)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

create table if not exists payload (
    job_id bigint not null primary key,
    plan   longblob not null
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

create table if not exists tag (
    name   varchar(255) not null,
    value  varchar(255) not null,
    job_id bigint not null,
    primary key (name, value, job_id),
    index tag_job (job_id)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

create table if not exists attempt (
    job_id      bigint not null,
    claim_seq   bigint not null,
    number      bigint not null,
    node_id     bigint not null,
    started_at  bigint not null,
    ended_at    bigint not null,
    outcome     varchar(32) not null,
    exit_code   bigint,
    `signal`    varchar(64),
    error       mediumtext,
    size        bigint not null,
    error_size  bigint not null,
    head        longblob not null,
    text        longblob not null,
    error_text  longblob not null,
    due_at      bigint,
    connect     bigint,
    first_byte  bigint,
    primary key (job_id, claim_seq)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

-- `hash` is the SHA-256 of scope and key, which may be longer than an index takes.
create table if not exists once (
    hash        binary(32) not null primary key,
    fingerprint varbinary(64) not null,
    job_id      bigint not null,
    until       bigint not null,
    index once_until (until)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

-- How many jobs came to each state (or left it, below zero); the sum of all rows is how many there are.
create table if not exists tally (
    id     bigint not null auto_increment primary key,
    state  enum ('scheduled', 'available', 'running', 'completed', 'failed', 'cancelled') not null,
    `change` bigint not null
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

create table if not exists node (
    id             bigint not null auto_increment primary key,
    name           varchar(255) not null,
    slots          bigint not null,
    started_at     bigint not null,
    beat_at        bigint not null,
    wants_messages tinyint not null default 0,
    follows        varchar(4000) not null default ''
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

create table if not exists message (
    node_id bigint not null,
    number  bigint not null,
    sent_at bigint not null,
    body    longblob not null,
    primary key (node_id, number),
    index message_sent (sent_at)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

create table if not exists operation (
    id         bigint not null auto_increment primary key,
    action     enum ('cancel', 'retry', 'delete') not null,
    state      enum ('running', 'completed', 'cancelled', 'failed') not null,
    filter     longtext not null,
    reason     mediumtext not null,
    changes    longtext not null,
    last_id    bigint not null,
    next_id    bigint not null,
    matched    bigint not null,
    done       bigint not null default 0,
    skipped    bigint not null default 0,
    created_at bigint not null,
    ended_at   bigint,
    error      mediumtext,
    access     longtext,
    index operation_state (state, id)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

-- `active_name` is the name while the token is not revoked, so that it is unique among those only.
create table if not exists token (
    id           bigint not null auto_increment primary key,
    name         varchar(255) not null,
    active_name  varchar(255),
    digest       varbinary(64) not null,
    old_digest   varbinary(64),
    old_until    bigint,
    scopes       mediumtext not null,
    contexts     mediumtext,
    queues       mediumtext,
    targets      mediumtext,
    created_at   bigint not null,
    expires_at   bigint,
    revoked_at   bigint,
    last_used_at bigint,
    unique index token_name (active_name),
    unique index token_digest (digest),
    unique index token_old_digest (old_digest)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

-- Grows with each change of tokens and secrets, so that a look at one number tells whether they have to be read again.
create table if not exists kept (
    only     tinyint not null primary key,
    revision bigint  not null
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;
insert ignore into kept (only, revision) values (1, 0);

create table if not exists secret (
    id         bigint not null auto_increment primary key,
    name       varchar(255) not null,
    kind       enum ('value', 'signing') not null,
    sealed     mediumtext not null,
    created_at bigint not null,
    until      bigint,
    index secret_name (kind, name)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;

create table if not exists audit (
    id       bigint not null auto_increment primary key,
    at       bigint not null,
    who      mediumtext not null,
    token_id bigint,
    address  mediumtext not null,
    action   mediumtext not null,
    target   mediumtext not null,
    `count`  bigint,
    details  longtext not null,
    index audit_at (at, id)
) engine = InnoDB character set utf8mb4 collate {collation} row_format = dynamic;
