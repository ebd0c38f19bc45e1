"""Links: which value of an answer is the parameter of which other requests."""

from collections.abc import Iterable, Mapping

import msgspec

from queue_server.web.endpoint import Endpoint
from queue_server.web.openapi.names import is_of_v1, name_of, path_parameters
from queue_server.web.openapi.schemas import Schema


class Source(msgspec.Struct, frozen=True):
    """The path parameter whose value stands in an answer, and where it stands there."""

    parameter: str
    expression: str


_OPERATION = Source("operation_id", "$response.body#/operation/id")
SOURCES: Mapping[tuple[str, int], Source] = {
    ("addJob", 201): Source("job_id", "$response.body#/id"),
    ("classicAddJob", 200): Source("job_id", "$response.body#/job_id"),
    ("createToken", 201): Source("token_id", "$response.body#/id"),
    ("cancelJobs", 202): _OPERATION,
    ("retryJobs", 202): _OPERATION,
    ("deleteJobs", 202): _OPERATION,
}


def links_of(endpoint: Endpoint, status: int, endpoints: Iterable[Endpoint]) -> Schema:
    """Link Objects of an answer, by the names of the requests of the same API that it leads to."""
    source = SOURCES.get((name_of(endpoint), status))
    if source is None:
        return {}
    return {
        name_of(other): {"operationId": name_of(other), "parameters": {source.parameter: source.expression}}
        for other in endpoints
        if path_parameters(other.path) == [source.parameter] and is_of_v1(other.path) == is_of_v1(endpoint.path)
    }
