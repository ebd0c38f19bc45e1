import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.server import Server
from tools.docs import declared, openapi

METHODS = {"get", "post", "patch", "put", "delete"}


@pytest.fixture(scope="module")
def document() -> Any:
    return msgspec.json.decode(openapi())


def requests_of(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, request in item.items():
            yield method.upper(), path, request


def media_types_of(document: Any) -> Iterator[tuple[str, Any]]:
    """Every Media Type Object, and where it is."""
    for method, path, request in requests_of(document):
        answers = {name: answer for name, answer in request["responses"].items() if "$ref" not in answer}
        for name, part in {"body": request.get("requestBody", {}), **answers}.items():
            yield from ((f"{method} {path} {name}", content) for content in part.get("content", {}).values())
    for name, answer in document["components"]["responses"].items():
        yield from ((name, content) for content in answer["content"].values())


def validator(document: Any, schema: Any) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]}, validate_formats=True)


def test_document_is_valid(document):
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_request_is_documented_and_no_other(document):
    assert {(method, path) for method, path, _ in requests_of(document)} == {
        (endpoint.method, endpoint.path) for endpoint in declared()
    }


def test_running_server_serves_the_frozen_document(server: Server):
    answer = server.call("GET", "/v1/openapi.json")
    assert (answer.status, answer.type) == (200, "application/json")
    assert answer.body == openapi()


def test_every_documented_path_is_there_and_takes_the_documented_methods_only(server: Server, document):
    for path, item in document["paths"].items():
        answer = server.call("TRACE", re.sub(r"\{\w+\}", "1", path))
        methods = {method.upper() for method in item}
        allowed = sorted(methods | ({"HEAD"} if "GET" in methods else set()))
        assert (answer.status, answer.headers["allow"]) == (405, ", ".join(allowed)), path


def test_every_request_has_a_name_of_its_own(document):
    names = [request["operationId"] for _, _, request in requests_of(document)]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z][A-Za-z]+", name)] == []


def test_every_tag_is_described(document):
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for _, _, request in requests_of(document) for tag in request["tags"]} == described


def test_every_member_and_parameter_is_described(document):
    members = [
        f"{name}/{member}"
        for name, schema in document["components"]["schemas"].items()
        for member, found in schema.get("properties", {}).items()
        if not found.get("description")
    ]
    parameters = [
        f"{path} {parameter['name']}"
        for _, path, request in requests_of(document)
        for parameter in request.get("parameters", ())
        if not parameter.get("description")
    ]
    assert members + parameters == []


def test_examples_fulfil_their_schemas(document):
    checked = 0
    for where, content in media_types_of(document):
        if "example" in content:
            errors = [error.message for error in validator(document, content["schema"]).iter_errors(content["example"])]
            assert errors == [], where
            checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    "job",
    [
        {},
        {"command": {"type": "ftp", "url": "http://a/"}},
        {"command": {"type": "http"}},
        {"command": {"type": "http", "url": "ftp://a/"}},
        {"command": {"type": "http", "url": "http://a/", "x": 1}},
        {"command": {"type": "http", "url": "http://a/", "json": None, "body": ""}},
        {"command": {"type": "http", "url": "http://a/", "json": 1, "params": {"a": 1}}},
        {"command": {"type": "http", "url": "http://a/", "headers": {"Te": "x"}}},
        {"command": {"type": "http", "url": "http://a/", "headers": {"A": "a\nb"}}},
        {"command": {"type": "http", "url": "http://a/", "body_base64": "="}},
        {"command": {"type": "http", "url": "http://a/", "expect": "20"}},
        {"command": {"type": "exec", "cmd": "a", "args": ["a"]}},
        {"command": {"type": "exec", "cmd": None}},
        {"command": {"type": "exec", "cmd": "a", "cwd": "b"}},
        {"command": {"type": "http", "url": "http://a/"}, "delay": 1, "run_at": "2026-11-24T09:30:00Z"},
        {"command": {"type": "http", "url": "http://a/"}, "run_at": "tomorrow"},
        {"command": {"type": "http", "url": "http://a/"}, "tags": {"a b": "c"}},
        {"command": {"type": "http", "url": "http://a/"}, "priority": 1001},
    ],
)
def test_job_that_the_server_refuses_is_invalid_by_its_schema(server: Server, document, job):
    assert server.call("POST", "/v1/jobs", job).status == 400
    assert not validator(document, {"$ref": "#/components/schemas/JobRequest"}).is_valid(job)


@pytest.mark.parametrize(
    "job",
    [
        {"command": {"type": "http", "url": "HTTP://127.0.0.1:9"}},
        {"command": {"type": "http", "url": "http://127.0.0.1:9/ä b", "body": None, "json": {"n": 1}}},
        {"command": {"type": "http", "url": "http://127.0.0.1:9", "json": 1, "method": "GET", "params": {"a": [1]}}},
        {"command": {"type": "http", "url": "http://127.0.0.1:9", "expect": " 200 - 299 , 404", "body_base64": "YQ=="}},
        {"command": {"type": "exec", "cmd": None, "args": ["true"], "cwd": "/"}},
        {
            "command": {"type": "exec", "cmd": "true", "expect": 0},
            "run_at": None,
            "delay": 0,
            "retry": {"retry_on": ["1", 2]},
            "tags": {"a.b": "c"},
            "deadline": 60,
        },
    ],
)
def test_job_that_the_server_takes_is_valid_by_its_schema(server: Server, document, job):
    assert server.call("POST", "/v1/jobs", msgspec.json.encode(job)).status == 201
    assert validator(document, {"$ref": "#/components/schemas/JobRequest"}).is_valid(job)


@pytest.mark.parametrize("path", ["/v1/openapi.json", "/docs", "/docs/swagger-ui-bundle.js"])
def test_what_the_client_has_already_is_not_sent_again(server: Server, path):
    first = server.call("GET", path)
    again = server.call("GET", path, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert first.headers["etag"] == again.headers["etag"]
    head = server.call("HEAD", path)
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(first.body)), b"")


def test_page_allows_nothing_from_elsewhere_and_no_scripts_within(server: Server):
    answer = server.call("GET", "/docs")
    assert answer.type == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert b"<script>" not in answer.body


def test_page_refers_to_files_that_are_there(server: Server):
    names = re.findall(rb'(?:src|href)="([^"]+)"', server.call("GET", "/docs").body)
    assert len(names) > 4
    assert {name: server.call("GET", f"/{name.decode()}").status for name in names} == dict.fromkeys(names, 200)


def test_file_that_the_page_does_not_have_is_not_found(server: Server):
    assert server.call("GET", "/docs/..%2Fpages.py").status == 404
    assert server.call("GET", "/docs/index.html").status == 404
