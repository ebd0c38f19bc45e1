"""The merge patch (RFC 7396) of a job: every member may be left out, and null takes it away."""

from queue_server.domain.revising import FIXED
from queue_server.web.openapi.schemas import Schema

MERGE_PATCH = "application/merge-patch+json"
NAME = "JobPatch"
_OBJECT: Schema = {"type": ["object", "null"]}


def job_patch(request: Schema) -> Schema:
    """The schema of a patch for what `request` is the schema of. Objects in it are patched likewise."""
    properties = {name: _patched(member) for name, member in request["properties"].items() if name not in FIXED}
    return {
        "description": "What is to change in a job (RFC 7396): members that are left out stay, null takes one away. "
        "The changed job has to be one that could have been sent.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _patched(member: Schema) -> Schema:
    words = {"description": member["description"]}
    match member:
        case {"$ref": _} | {"anyOf": [{"$ref": _}, {"type": "null"}]}:
            return _OBJECT | words
        case {"additionalProperties": {"type": str() as type_, **rest}}:
            return {**member, "additionalProperties": {"type": [type_, "null"], **rest}}
        case {"type": str() as type_}:
            return {**member, "type": [type_, "null"]}
        case _:
            return member
