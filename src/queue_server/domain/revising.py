"""Changing a job that does not run: a JSON merge patch (RFC 7396) over the job as it could have been sent.

The patched job is read like a new one, so whatever `POST /v1/jobs` refuses is refused here with the same words.
"""

from typing import Any

import msgspec
from msgspec import Raw

from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import JobRecord, JobRequest
from queue_server.domain.reading import read_object, read_request

DEPTH_LIMIT = 200
FIXED = ("idempotency_key",)
_INSTEAD = {"delay": "run_at", "run_at": "delay", "ttl": "expires_at", "expires_at": "ttl"}
"""Members of which a job has one: a patch that gives one takes the other away."""


class Patch(msgspec.Struct, frozen=True):
    """A merge patch, as its members."""

    members: dict[str, Raw]

    @property
    def moves_due_time(self) -> bool:
        """Whether it says when the job may run."""
        return "delay" in self.members or "run_at" in self.members


NO_PATCH = Patch({})


def read_patch(body: bytes) -> Patch:
    """The patch in a request's body, InvalidJob if it is no JSON object or names what can't be changed.

    An empty body changes nothing. Whether the changed job is a good one is seen when it is applied.
    """
    if not body.strip():
        return NO_PATCH
    members = read_object(body)
    if problems := [Problem(f"/{name}", "can't be changed") for name in FIXED if name in members]:
        raise InvalidJob(problems)
    if unknown := [name for name in members if name not in JobRequest.__struct_fields__]:
        known = ", ".join(JobRequest.__struct_fields__)
        raise InvalidJob([Problem(f"/{name}", f"is not a known member; known are {known}") for name in unknown])
    return Patch(members)


def patched(record: JobRecord, patch: Patch) -> JobRequest:
    """The job as it would be sent with the patch; InvalidJob with all problems if that is no job."""
    members = members_of(record)
    for name, value in patch.members.items():
        if name in _INSTEAD and bytes(value) != b"null":
            members.pop(_INSTEAD[name], None)
    return read_request(_merge(msgspec.json.encode(members), msgspec.json.encode(patch.members)))


def members_of(record: JobRecord) -> dict[str, Any]:
    """The members of a request that would make this job, times given as times."""
    plan = record.plan
    members: dict[str, Any] = {
        "command": plan.command,
        "priority": record.priority,
        "context": record.context,
        "queue": record.queue,
        "key": record.key,
        "callback_done": plan.callback_done,
        "callback_failed": plan.callback_failed,
        "retry": plan.retry,
        "expires_at": rfc3339(plan.expires_at),
        "deadline": rfc3339(plan.deadline),
        "retention": plan.retention,
        "tags": plan.tags,
    }
    return {name: value for name, value in members.items() if value is not None}


def _merge(target: bytes | Raw, patch: bytes | Raw, depth: int = 0) -> bytes:
    """RFC 7396 section 2 over raw JSON, so that numbers of any size stay as they are."""
    if not _is_object(patch):
        return bytes(patch)
    if depth > DEPTH_LIMIT:
        raise InvalidJob([Problem("", "the JSON is nested too deeply")])
    members: dict[str, Raw] = msgspec.json.decode(target, type=dict[str, Raw]) if _is_object(target) else {}
    for name, value in msgspec.json.decode(patch, type=dict[str, Raw]).items():
        if bytes(value).strip() == b"null":
            members.pop(name, None)
        else:
            members[name] = Raw(_merge(members.get(name, Raw(b"null")), value, depth + 1))
    return msgspec.json.encode(members)


def _is_object(text: bytes | Raw) -> bool:
    return bytes(text).lstrip()[:1] == b"{"
