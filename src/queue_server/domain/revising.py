"""Changing a job that does not run: a JSON merge patch (RFC 7396) over the job as it could have been sent.

The patched job is read like a new one, so whatever `POST /v1/jobs` refuses is refused here with the same words.
"""

from typing import Any

import msgspec
from msgspec import Raw

from queue_server.domain.command import Unreadable
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.hiding import COMMANDS
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import JobRecord, JobRequest
from queue_server.domain.reading import read_object, read_request, unknown_members
from queue_server.domain.secret import is_meant_as_secret

DEPTH_LIMIT = 200
FIXED = ("idempotency_key",)
_INSTEAD = {"delay": "run_at", "run_at": "delay", "ttl": "expires_at", "expires_at": "ttl"}
"""Two ways to say one thing: a patch that names one, if only to remove it, takes the other away."""


class Patch(msgspec.Struct, frozen=True):
    """A merge patch, as its members."""

    members: dict[str, Raw]

    @property
    def moves_due_time(self) -> bool:
        """Whether it says when the job may run."""
        return "delay" in self.members or "run_at" in self.members

    @property
    def changes_retry(self) -> bool:
        """Whether it says how often the job is tried."""
        return "retry" in self.members


NO_PATCH = Patch({})


def read_patch(body: bytes) -> Patch:
    """The patch in a request's body, InvalidJob if it is no JSON object or names what can't be changed.

    An empty body changes nothing. Whether the changed job is a good one is seen when it is applied.
    """
    if not body.strip():
        return NO_PATCH
    members = read_object(body)
    problems = [Problem(f"/{name}", "can't be changed") for name in FIXED if name in members]
    problems += unknown_members(members, JobRequest, "")
    if problems:
        raise InvalidJob(problems)
    return Patch(members)


def changes_commands(patch: Patch) -> bool:
    """Whether it may hold secrets."""
    return not patch.members.keys().isdisjoint(COMMANDS)


def patched(record: JobRecord, patch: Patch) -> JobRequest:
    """The job as it would be sent with the patch; InvalidJob with all problems if that is no job."""
    members = members_of(record)
    for name in patch.members:
        if name in _INSTEAD:
            members.pop(_INSTEAD[name], None)
    return read_request(merge(msgspec.json.encode(members), msgspec.json.encode(patch.members)))


def members_of(record: JobRecord) -> dict[str, Any]:
    """The members of a request that would make this job, times given as times. A command that can't be read is none."""
    plan = record.plan
    members: dict[str, Any] = {
        "command": None if isinstance(plan.command, Unreadable) else plan.command,
        "priority": record.priority,
        "context": record.context,
        "queue": record.queue,
        "key": record.key,
        "callback_done": plan.callback_done,
        "callback_failed": plan.callback_failed,
        "retry": None if plan.retry is None else _given(msgspec.structs.asdict(plan.retry)),
        "expires_at": rfc3339(plan.expires_at),
        "deadline": rfc3339(plan.deadline),
        "retention": plan.retention,
        "tags": plan.tags,
    }
    return _given(members)


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def merge(target: bytes | Raw, patch: bytes | Raw, depth: int = 0) -> bytes:
    """What a merge patch makes of its target (RFC 7396 section 2). Both stay raw JSON, and so do numbers of any size.

    InvalidJob where the patch is nested too deeply.
    """
    if not _is_object(patch):
        return bytes(patch)
    if depth > DEPTH_LIMIT:
        raise InvalidJob([Problem("", "the JSON is nested too deeply")])
    members: dict[str, Raw] = msgspec.json.decode(target, type=dict[str, Raw]) if _is_object(target) else {}
    changes: dict[str, Raw] = msgspec.json.decode(patch, type=dict[str, Raw])
    if is_meant_as_secret(members) and is_meant_as_secret(changes):
        return bytes(patch)  # one secret instead of another, not a mixture of both
    for name, value in changes.items():
        if bytes(value).strip() == b"null":
            members.pop(name, None)
        else:
            members[name] = Raw(merge(members.get(name, Raw(b"null")), value, depth + 1))
    return msgspec.json.encode(members)


def _is_object(text: bytes | Raw) -> bool:
    return bytes(text).lstrip()[:1] == b"{"
