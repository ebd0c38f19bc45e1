"""Every setting, with its type, its default and one line that explains it.

Durations are seconds. In flags, variables and files they may carry a unit: `90`, `90s`, `15m`, `12h`, `7d`.
Sizes are bytes and may be written `512KiB`, `1MiB`. The explanation is `Meta.description`; `config show`,
`--help` and docs/operations.md are made from it. Lists are TOML lists in the file; in flags and variables their
items are separated by commas or blanks. What is secret is never shown.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from queue_server.domain.named import NamedCommand

# These carry no bounds: msgspec refuses a type that sets a bound twice, so each setting names its own.
Seconds = Annotated[float, Meta(extra={"unit": "duration"})]
Bytes = Annotated[int, Meta(extra={"unit": "size"})]
Words = Annotated[tuple[str, ...], Meta(extra={"unit": "list"})]
Secret = Annotated[str, Meta(extra={"unit": "secret"})]

TABLES = ("commands",)
"""What only the settings file can have: tables of tables. They are not in the catalog."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one server."""

    host: Annotated[str, Meta(description="Address to listen on, or unix:/path for a socket.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 1337
    db: Annotated[
        str,
        Meta(
            description="Where jobs are stored: sqlite:///FILE, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME.",
        ),
    ] = "sqlite:///queue-server.db"
    node_name: Annotated[str, Meta(description="This node's name; empty takes the host's name.")] = ""
    processes: Annotated[
        int,
        Meta(ge=1, le=64, description="Server processes that share the port, each a node; 2 and up need a shared db."),
    ] = 1
    concurrency: Annotated[int, Meta(ge=1, le=10_000, description="Job slots: how many jobs run at once.")] = 100
    exec_concurrency: Annotated[
        int, Meta(ge=0, le=1000, description="How many of them may be commands; 0 means 2 per CPU core.")
    ] = 0
    exec: Annotated[
        Literal["off", "named", "any"],
        Meta(description="Which commands jobs may run: off, named (those of the settings file), or any."),
    ] = "off"
    commands: dict[str, NamedCommand] = {}
    exec_run_as: Annotated[str, Meta(description="The user whom commands run as; empty is the server's own.")] = ""
    exec_sandbox: Annotated[
        Literal["none", "bwrap", "required"],
        Meta(description="bwrap keeps commands in bubblewrap if it works here; required refuses to start without."),
    ] = "none"
    exec_memory: Annotated[Bytes, Meta(ge=0, description="Memory that a command may take; 0 is no limit.")] = 0
    exec_cpu: Annotated[Seconds, Meta(ge=0, description="CPU time that a command may take; 0 is no limit.")] = 0.0
    exec_files: Annotated[int, Meta(ge=0, description="Files that a command may have open; 0 is no limit.")] = 1024
    exec_processes: Annotated[
        int, Meta(ge=0, description="Processes that the commands' user may have; 0 is no limit.")
    ] = 0
    exec_file_size: Annotated[
        Bytes, Meta(ge=0, description="Largest file that a command may write; 0 is no limit.")
    ] = 0
    auth: Annotated[
        Literal["tokens", "off"],
        Meta(description="Who may ask: tokens, or off (everybody who can connect; for private networks)."),
    ] = "tokens"
    admin_token: Annotated[Secret, Meta(description="A token with all rights, for containers; better in a file.")] = ""
    login_limit: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Wrong tokens from one address in a minute before it gets 429.")
    ] = 20
    tls_cert: Annotated[str, Meta(description="File of the TLS certificate with its chain; read again on SIGHUP.")] = ""
    tls_key: Annotated[str, Meta(description="File of the TLS certificate's key.")] = ""
    allowed_hosts: Annotated[
        Words, Meta(description="Names by which clients reach this server; without tokens others are refused.")
    ] = ()
    allowed_origins: Annotated[
        Words, Meta(description="Origins whose pages may ask from a browser, such as https://admin.example.com.")
    ] = ()
    http_targets: Annotated[
        Literal["internal", "public", "allowlist"],
        Meta(description="Where http jobs may go: internal and public addresses, public only, or what is allowed."),
    ] = "internal"
    http_allow: Annotated[
        Words, Meta(description="Targets that are allowed: networks, hosts, .suffixes, each with :port if wanted.")
    ] = ()
    http_deny: Annotated[Words, Meta(description="Targets that are refused whatever allows them, likewise.")] = ()
    secret_key: Annotated[
        Secret, Meta(description="Keys that seal secrets at rest, newest first; empty keeps one beside the database.")
    ] = ""
    http_timeout: Annotated[Seconds, Meta(gt=0, description="Time limit of an http attempt that names none.")] = 3600.0
    exec_timeout: Annotated[Seconds, Meta(gt=0, description="Time limit of an exec attempt that names none.")] = 3600.0
    connect_timeout: Annotated[Seconds, Meta(gt=0, description="How long connecting to a target may take.")] = 10.0
    default_priority: Annotated[int, Meta(ge=0, le=1000, description="Priority of a job that names none.")] = 500
    default_context: Annotated[str, Meta(max_length=255, description="Context of a job that names none.")] = "default"
    heartbeat_timeout: Annotated[
        Seconds, Meta(gt=0, description="How long a job that goes on past its request may be silent.")
    ] = 60.0
    retry_max_attempts: Annotated[int, Meta(ge=1, le=1000, description="Attempts of a job whose retry names none.")] = 1
    retry_backoff: Annotated[
        Literal["none", "fixed", "linear", "exponential"],
        Meta(description="How the wait before the next attempt grows, where a job's retry names no backoff."),
    ] = "exponential"
    retry_min_delay: Annotated[Seconds, Meta(ge=0, description="First wait before the next attempt, likewise.")] = 1.0
    retry_max_delay: Annotated[Seconds, Meta(ge=0, description="Longest wait before the next attempt, likewise.")] = (
        3600.0
    )
    retry_jitter: Annotated[
        float, Meta(ge=0, le=1, description="How much waits are spread, likewise: 0.2 is ± 20 %.")
    ] = 0.2
    output_limit: Annotated[Bytes, Meta(ge=0, description="How much of each output of an attempt is kept.")] = (
        1024 * 1024
    )
    max_body: Annotated[Bytes, Meta(ge=1024, description="Largest body of a request.")] = 1024 * 1024
    max_batch: Annotated[Bytes, Meta(ge=1024, description="Largest body of a batch of jobs.")] = 64 * 1024 * 1024
    max_waiting: Annotated[int, Meta(ge=1, description="How many jobs may wait before new ones get 503.")] = 10_000_000
    max_waiting_per_context: Annotated[
        int, Meta(ge=0, description="How many jobs of one context may wait before its new ones get 503; 0 is no limit.")
    ] = 0
    max_connections: Annotated[int, Meta(ge=1, description="Connections of clients at once.")] = 10_000
    max_connections_per_address: Annotated[
        int, Meta(ge=0, description="Connections from one address at once, but for loopback; 0 is no limit.")
    ] = 1000
    max_response: Annotated[Bytes, Meta(ge=1024, description="Largest response of a target that is read.")] = (
        1024 * 1024 * 1024
    )
    shutdown_grace: Annotated[Seconds, Meta(ge=0, description="How long running jobs may go on after SIGTERM.")] = 30.0
    retention_keys: Annotated[Seconds, Meta(ge=0, description="How long idempotency keys are kept.")] = 86_400.0
    retention_completed: Annotated[Seconds, Meta(ge=0, description="How long completed jobs are kept.")] = 7 * 86_400.0
    retention_failed: Annotated[Seconds, Meta(ge=0, description="How long failed and cancelled jobs are kept.")] = (
        30 * 86_400.0
    )
    retention_audit: Annotated[Seconds, Meta(ge=0, description="How long the audit log keeps what was managed.")] = (
        365 * 86_400.0
    )
    log_format: Annotated[
        Literal["console", "json"],
        Meta(description="console for people (coloured on a terminal), json for programs."),
    ] = "console"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least important messages that are logged; job ends are info."),
    ] = "info"
