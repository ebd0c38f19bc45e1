"""The OpenAPI 3.1 document, made from the declarations of all requests."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from queue_server import __version__
from queue_server.web.endpoint import Endpoint
from queue_server.web.openapi import failures
from queue_server.web.openapi.patches import NAME, job_patch
from queue_server.web.openapi.requests import SECURITY_SCHEMES, operation_of, types_of
from queue_server.web.openapi.schemas import Schema, Schemas

DESCRIPTION = """\
Jobs over HTTP: a client posts a JSON job, the server stores it durably, answers at once, runs it in the background,
tries it again when asked to, and reports its end.

JSON in and out, whatever the Content-Type of a request says. Ids are integers. Times are RFC 3339 UTC with
microseconds, durations are seconds. Errors under `/v1` are problem details (RFC 9457); the first API has a shape of its
own. Beyond the statuses that are listed with a request, any can be answered with 405 where a path does not take a
method, and with 408 or 431 where its head comes too slowly or is larger than 64 KiB.
"""
TAGS = {
    "jobs": "Adding, seeing and changing jobs.",
    "many jobs": "The same action on all jobs of a filter.",
    "events": "What happens to jobs, as it happens.",
    "continued work": "Jobs that go on at their target past the request.",
    "tokens": "Who may ask, and for what.",
    "secrets": "Texts that jobs have by their names, and what requests are signed with.",
    "statistics": "The server at a glance.",
    "audit": "Who has managed what.",
    "first API": "The API of the server that this one replaces; it stays as it is.",
    "service": "For load balancers and supervisors.",
    "documentation": "This document.",
}
"""In the order in which they are shown; others follow."""


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document of these requests."""
    schemas = Schemas([*failures.TYPES, *(type_ for endpoint in endpoints for type_ in types_of(endpoint))])
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Queue Server",
            "version": __version__,
            "summary": "A self-hosted job server for any program that can send an HTTP request.",
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [*_tags(endpoints)],
        "paths": _paths(endpoints, schemas),
        "components": {
            "schemas": dict(sorted(_components(schemas).items())),
            "responses": failures.failure_components(),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _components(schemas: Schemas) -> Schema:
    request = schemas.components.get("JobRequest")
    return {**schemas.components, **({NAME: job_patch(request)} if request else {})}


def encoded(endpoints: Sequence[Endpoint]) -> bytes:
    """The document as it is served and frozen: JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(document(endpoints)), indent=2) + b"\n"


def _tags(endpoints: Iterable[Endpoint]) -> Iterable[Schema]:
    used = dict.fromkeys(endpoint.tag for endpoint in endpoints)
    yield from ({"name": name, "description": text} for name, text in TAGS.items() if name in used)
    yield from ({"name": name} for name in used if name not in TAGS)


def _paths(endpoints: Sequence[Endpoint], schemas: Schemas) -> Schema:
    paths: Schema = {}
    for endpoint in sorted(endpoints, key=lambda endpoint: [*TAGS].index(endpoint.tag) if endpoint.tag in TAGS else 99):
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation_of(endpoint, schemas, endpoints)
    return paths
