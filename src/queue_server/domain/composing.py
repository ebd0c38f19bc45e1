"""From a job as a client wrote it to the plan and the row that are stored, with the server's defaults."""

import hashlib
import json

import msgspec
from msgspec import UNSET

from queue_server.domain.command import Command, Unreadable, command_type
from queue_server.domain.hiding import COMMANDS, Hiding, holds_secrets, masked
from queue_server.domain.instants import parse_instant
from queue_server.domain.job import DEFAULT_QUEUE, JobRequest, NewJob, Once, Plan, encode_plan
from queue_server.domain.lifecycle import first_state
from queue_server.domain.retry import ONCE, SECOND, Retry, resolve
from queue_server.domain.secret import NO_SEALER, Sealer

_encode = msgspec.json.Encoder().encode
_NUMBER = "\0{}".format
"""Keeps numbers of any size apart, and apart from texts."""

SORTED_BYTES = 64 * 1024
"""Sorting them takes 3 ms (measured 2026-11 on 2 cores), in which the event loop does nothing else."""


class Defaults(msgspec.Struct, frozen=True):
    """What applies to a job that names no priority, context, queue or retry, and what seals its secrets."""

    priority: int = 500
    context: str = "default"
    retry: Retry = ONCE
    sealer: Sealer = NO_SEALER
    queue: str = DEFAULT_QUEUE


def compose_plan(
    request: JobRequest, defaults: Defaults, now: int, token_id: int | None = None, *, before: Plan | None = None
) -> Plan:
    """What is kept of a request as the job's payload. Limits given in seconds count from `now`.

    Secrets are sealed; what is masked in the request is taken from the plan `before`. InvalidJob if it is not there, or
    if there is no secret of a name.
    """
    secrets = None
    if has_secrets(request):
        request, secrets = _hide(request, defaults.sealer, before)
    return Plan(
        request.command,
        request.callback_done,
        request.callback_failed,
        resolve(request.retry, defaults.retry),
        None,
        None if request.ttl is None and request.expires_at is None else _expires_at(request, now),
        None if request.deadline is None else _deadline(request, now),
        request.retention,
        request.tags or None,
        token_id,
        secrets,
    )


def has_secrets(request: JobRequest) -> bool:
    """Whether one of its commands holds a secret."""
    done, failed = request.callback_done, request.callback_failed
    return (
        holds_secrets(request.command)
        or (done is not None and holds_secrets(done))
        or (failed is not None and holds_secrets(failed))
    )


def without_secrets(request: JobRequest) -> JobRequest:
    """The request with all its secrets masked, to be compared with others."""
    if not has_secrets(request):
        return request
    commands = {name: masked(command) for name in COMMANDS if (command := getattr(request, name)) is not None}
    return msgspec.structs.replace(request, **commands)


def _hide(request: JobRequest, sealer: Sealer, before: Plan | None) -> tuple[JobRequest, dict[str, str] | None]:
    earlier: dict[str, Command | Unreadable | None] = {name: getattr(before, name, None) for name in COMMANDS}
    hiding = Hiding(sealer, earlier, (before.secrets if before else None) or {})
    commands = {
        name: hiding.hide(name, command) for name in COMMANDS if (command := getattr(request, name)) is not None
    }
    hiding.check()
    return msgspec.structs.replace(request, **commands), hiding.sealed or None


def compose_row(request: JobRequest, plan: Plan, defaults: Defaults, now: int, once: Once | None = None) -> NewJob:
    """The row of a job that is added at `now`."""
    run_at = due_at(request, now)
    return NewJob(
        first_state(run_at, now),
        defaults.priority if request.priority is UNSET else request.priority,
        run_at,
        now,
        defaults.context if request.context is UNSET else request.context,
        command_type(request.command),
        encode_plan(plan),
        None,
        defaults.queue if request.queue is UNSET else request.queue,
        request.key,
        overdue_at(plan),
        plan.tags,
        once,
    )


def due_at(request: JobRequest, now: int) -> int:
    """When the job may run: not before `now`."""
    if request.run_at is not None:
        return max(now, parse_instant(request.run_at))
    return now + round(request.delay * SECOND) if request.delay else now


def overdue_at(plan: Plan) -> int | None:
    """When a job that has not started ends as failed: its expires_at or its deadline, whichever comes first."""
    if plan.expires_at is None or plan.deadline is None:
        return plan.deadline if plan.expires_at is None else plan.expires_at
    return min(plan.expires_at, plan.deadline)


def fingerprint(request: JobRequest) -> bytes:
    """16 bytes that tell whether two requests ask for the same job, whatever the order and spacing of their members.

    Those of more than SORTED_BYTES, and those too deeply nested to be sorted, are compared as they are written. Texts
    of secrets are left out: a digest of them could be guessed.
    """
    bare = msgspec.structs.replace(without_secrets(request), idempotency_key=None)
    return hashlib.blake2b(_canonical(_encode(bare)), digest_size=16).digest()


def _canonical(text: bytes) -> bytes:
    if len(text) > SORTED_BYTES:
        return text
    try:
        value = json.loads(text, parse_int=_NUMBER, parse_float=_NUMBER)
        return json.dumps(value, sort_keys=True).encode()
    except RecursionError:
        return text


def _expires_at(request: JobRequest, now: int) -> int | None:
    if request.expires_at is not None:
        return parse_instant(request.expires_at)
    return None if request.ttl is None else now + round(request.ttl * SECOND)


def _deadline(request: JobRequest, now: int) -> int | None:
    match request.deadline:
        case None:
            return None
        case str() as instant:
            return parse_instant(instant)
        case seconds:
            return now + round(seconds * SECOND)
