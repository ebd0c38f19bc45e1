"""Every setting, with its type, its default and one line that explains it.

Durations are seconds. In flags, variables and files they may carry a unit: `90`, `90s`, `15m`, `12h`, `7d`.
Sizes are bytes and may be written `512KiB`, `1MiB`. The explanation is `Meta.description`; `config show`,
`--help` and docs/operations.md are made from it.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# These carry no bounds: msgspec refuses a type that sets a bound twice, so each setting names its own.
Seconds = Annotated[float, Meta(extra={"unit": "duration"})]
Bytes = Annotated[int, Meta(extra={"unit": "size"})]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one server."""

    host: Annotated[str, Meta(description="Address to listen on, or unix:/path for a socket.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 1337
    db: Annotated[str, Meta(description="Where jobs are stored: sqlite:///FILE.")] = "sqlite:///queue-server.db"
    node_name: Annotated[str, Meta(description="This node's name; empty takes the host's name.")] = ""
    concurrency: Annotated[int, Meta(ge=1, le=10_000, description="Job slots: how many jobs run at once.")] = 100
    exec_concurrency: Annotated[
        int, Meta(ge=0, le=1000, description="How many of them may be commands; 0 means 2 per CPU core.")
    ] = 0
    exec: Annotated[
        Literal["off", "any"],
        Meta(description="Which commands jobs may run here: off, or any (who can add a job owns the server)."),
    ] = "off"
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
    shutdown_grace: Annotated[Seconds, Meta(ge=0, description="How long running jobs may go on after SIGTERM.")] = 30.0
    retention_keys: Annotated[Seconds, Meta(ge=0, description="How long idempotency keys are kept.")] = 86_400.0
    retention_completed: Annotated[Seconds, Meta(ge=0, description="How long completed jobs are kept.")] = 7 * 86_400.0
    retention_failed: Annotated[Seconds, Meta(ge=0, description="How long failed and cancelled jobs are kept.")] = (
        30 * 86_400.0
    )
    log_format: Annotated[
        Literal["console", "json"],
        Meta(description="console for people (coloured on a terminal), json for programs."),
    ] = "console"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least important messages that are logged; job ends are info."),
    ] = "info"
