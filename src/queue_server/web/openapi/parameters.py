"""The parameters of a request: in its path, its query and its headers."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import NODEFAULT, UNSET

from queue_server.web.endpoint import Endpoint
from queue_server.web.openapi.names import path_parameters
from queue_server.web.openapi.rules import RULES, TAG_NAME, TAG_VALUE
from queue_server.web.openapi.schemas import Schema, Schemas
from queue_server.web.openapi.types import sentence_of
from queue_server.web.openapi.words import WORDS

ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
PATH_PARAMETERS: Mapping[str, tuple[str, Schema]] = {
    "job_id": ("The job's id.", ID),
    "operation_id": ("The operation's id.", ID),
    "token_id": ("The token's id.", ID),
    "secret_name": ("The secret's name.", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
    "claim": ("The claim that the attempt runs under: `X-Queue-Claim` of its request.", ID),
    "file": ("The file's name.", {"type": "string", "pattern": "^[a-z.-]+$"}),
}
HEADER_SCHEMAS: Mapping[str, Schema] = {
    "Idempotency-Key": {"type": "string", "maxLength": 255, "pattern": "^[!-~](?:[ -~]*[!-~])?$"},
}
TEXT: Schema = {"type": "string"}
TAGS: Schema = {
    "name": "tags",
    "in": "query",
    "description": "`tag.NAME=VALUE`: only jobs with this tag; with all of them where several are given.",
    "style": "form",
    "explode": True,
    "schema": {
        "type": "object",
        "propertyNames": {"pattern": TAG_NAME.replace("^", r"^tag\.")},
        "additionalProperties": TAG_VALUE,
    },
    "example": {"tag.customer": "acme"},
}
"""An object in this style is sent as a parameter for each of its members; its own name appears nowhere."""


def parameters_of(endpoint: Endpoint, schemas: Schemas) -> Iterator[Schema]:
    """Each parameter, as a Parameter Object."""
    for name in path_parameters(endpoint.path):
        description, schema = PATH_PARAMETERS[name]
        yield {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
    if endpoint.query is not None:
        for field in msgspec.structs.fields(endpoint.query):
            yield _of_query(field, f"{endpoint.query.__name__}/{field.encode_name}", schemas)
    if endpoint.takes_tags:
        yield TAGS
    for name, description in endpoint.headers.items():
        yield {"name": name, "in": "header", "description": description, "schema": HEADER_SCHEMAS.get(name, TEXT)}


def types_of_query(endpoint: Endpoint) -> list[Any]:
    """The types of the query parameters."""
    return [] if endpoint.query is None else [field.type for field in msgspec.structs.fields(endpoint.query)]


def _of_query(field: msgspec.structs.FieldInfo, path: str, schemas: Schemas) -> Schema:
    schema = _without_null(schemas.of(field.type) | RULES.get(path, {}))
    parameter: Schema = {"name": field.encode_name, "in": "query"}
    if field.required:
        parameter["required"] = True
    if sentence := WORDS.get(path) or schema.pop("description", None) or sentence_of(field.type):
        parameter["description"] = sentence
    if field.default not in (NODEFAULT, UNSET, None, ""):
        schema["default"] = msgspec.to_builtins(field.default)
    return parameter | {"schema": schema}


def _without_null(schema: Schema) -> Schema:
    """A query knows no null: a parameter that is not given is left out."""
    match schema:
        case {"type": [type_, "null"]}:
            return schema | {"type": type_}
        case {"anyOf": [{**option}, {"type": "null"}]}:
            return {key: value for key, value in schema.items() if key != "anyOf"} | option
        case _:
            return schema
