"""From the declaration of a request to its Operation Object."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from queue_server.web.answers import JSON
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.openapi.examples import examples
from queue_server.web.openapi.failures import failures_of
from queue_server.web.openapi.links import links_of
from queue_server.web.openapi.names import name_of
from queue_server.web.openapi.parameters import parameters_of, types_of_query
from queue_server.web.openapi.patches import MERGE_PATCH, NAME
from queue_server.web.openapi.schemas import Schema, Schemas, reference

EVENT_STREAM = "text/event-stream"
SECURITY_SCHEMES: Schema = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token: `Authorization: Bearer qs_…`."},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A token as the user, for clients that know only URLs.",
    },
}
_EXAMPLES = examples()


def operation_of(endpoint: Endpoint, schemas: Schemas, endpoints: Sequence[Endpoint]) -> Schema:
    """All that the document says of one of the requests."""
    operation: Schema = {
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "operationId": name_of(endpoint),
    }
    if description := _description(endpoint):
        operation["description"] = description
    operation["security"] = [] if endpoint.scope is None else [{name: []} for name in SECURITY_SCHEMES]
    if parameters := [*parameters_of(endpoint, schemas)]:
        operation["parameters"] = parameters
    if endpoint.body:
        operation["requestBody"] = {
            "required": endpoint.is_body_required,
            "content": _contents(endpoint.body, schemas),
        }
    answers = {
        str(status): _answer(answer, schemas) | _links(links_of(endpoint, status, endpoints))
        for status, answer in endpoint.answers.items()
    }
    operation["responses"] = dict(sorted((failures_of(endpoint) | answers).items()))
    return operation


def types_of(endpoint: Endpoint) -> Iterator[Any]:
    """Every type that its declaration names."""
    yield from types_of_query(endpoint)
    contents = (*endpoint.body, *(answer.content for answer in endpoint.answers.values() if answer.content))
    yield from (content.type for content in contents if content.type is not None and content.media_type != MERGE_PATCH)


def _description(endpoint: Endpoint) -> str:
    """What it says, and the scope that it takes."""
    needs = f"Takes the scope `{endpoint.scope}`, where tokens are asked for." if endpoint.scope else ""
    return "\n\n".join(filter(None, (_joined(endpoint.description), needs)))


def _joined(text: str) -> str:
    """The lines of each paragraph as one: Markdown in a page breaks where there is room."""
    return re.sub(r"(?<!\n)\n(?![\n|*-])", " ", text.strip())


def _answer(answer: Answer, schemas: Schemas) -> Schema:
    response: Schema = {"description": answer.description}
    if answer.headers:
        response["headers"] = headers_of(answer.headers)
    if answer.content is not None:
        response["content"] = _contents((answer.content,), schemas)
    return response


def _links(links: Schema) -> Schema:
    return {"links": links} if links else {}


def headers_of(sentences: Mapping[str, str]) -> Schema:
    """Header Objects by their names."""
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in sentences.items()}


def _contents(contents: tuple[Content, ...], schemas: Schemas) -> Schema:
    return {content.media_type: _media_type(content, schemas) for content in contents}


def _media_type(content: Content, schemas: Schemas) -> Schema:
    """A Media Type Object. What is neither JSON nor text is bytes, which have no schema."""
    if content.type is None:
        return {}
    if content.media_type == MERGE_PATCH:
        return {"schema": reference(NAME), "example": {"priority": 900, "key": None}}
    schema = schemas.of(content.type)
    if content.media_type == EVENT_STREAM:
        return {"schema": _event(content, schema)}
    if content.media_type != JSON:
        return {"schema": {"type": "string", "description": content.description}, "x-item-schema": schema}
    if content.description:
        schema = {**schema, "description": content.description}
    example = _EXAMPLES.get(content.type)
    return {"schema": schema} | ({"example": example} if example is not None else {})


def _event(content: Content, data: Schema) -> Schema:
    """One event of a stream, whose other parts are texts."""
    text: Schema = {"type": "string"}
    return {
        "description": content.description,
        "type": "object",
        "properties": {
            "id": text | {"description": "Resume after it with `Last-Event-ID`."},
            "event": text | {"description": "What happened; `job` and `reset` are explained above."},
            "data": text | {"contentMediaType": JSON, "contentSchema": {"anyOf": [data, {"type": "object"}]}},
        },
        "required": ["id", "event", "data"],
    }
