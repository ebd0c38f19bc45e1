"""Chance against the live server: no 5xx, no answer missing, no traceback."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.raw import parse, send_raw
from tests.support.server import FORM, Server

LIVE = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    ["command", "priority", "context", "delay", "run_at", "retry", "callback_done", "callback_failed", "type", "url",
     "method", "params", "headers", "json", "body", "body_base64", "timeout", "expect", "cmd", "args", "max_attempts"]
)  # fmt: skip
near_jobs = st.recursive(
    json_values | st.sampled_from(["http", "http://127.0.0.1:9/", "GET", "200-299"]),
    lambda inner: st.dictionaries(names, inner, max_size=6),
    max_leaves=10,
)
near_commands = st.fixed_dictionaries(
    {"type": st.just("http"), "url": st.just("http://127.0.0.1:9/") | st.text(max_size=30)},
    optional={
        "method": json_values, "params": json_values, "headers": json_values, "json": json_values, "body": json_values,
        "timeout": json_values, "expect": json_values,
    },
)  # fmt: skip


def is_answered_properly(server: Server, path: str, body: bytes) -> None:
    answer = server.call("POST", path, body, FORM)
    assert answer.status in (200, 201, 400), (answer.status, body, answer.body)
    if answer.status == 400:
        assert answer.json["errors"]
    else:
        job_id = answer.json.get("job_id") or answer.json["id"]
        assert server.call("GET", f"/jobs/get/{job_id}").status == 200
        assert server.call("GET", f"/v1/jobs/{job_id}").status == 200


@LIVE
@given(body=st.binary(max_size=300), path=st.sampled_from(["/jobs/add", "/v1/jobs"]))
def test_random_bytes_as_a_body_are_answered(server: Server, body: bytes, path: str) -> None:
    is_answered_properly(server, path, body)


@LIVE
@given(value=near_jobs)
def test_random_json_is_answered(server: Server, value: object) -> None:
    is_answered_properly(server, "/jobs/add", json.dumps(value).encode())


@LIVE
@given(command=near_commands, more=st.dictionaries(names, json_values, max_size=2))
def test_random_jobs_that_are_nearly_right_are_answered_and_can_be_read(
    server: Server, command: object, more: dict[str, object]
) -> None:
    is_answered_properly(server, "/v1/jobs", json.dumps({"delay": 3600} | more | {"command": command}).encode())


@LIVE
@given(data=st.binary(min_size=1, max_size=200))
def test_random_bytes_as_a_request_are_answered(server: Server, data: bytes) -> None:
    answered = send_raw(server.port, data.lstrip(b"\r\n") + b"\r\n\r\n\0", half_close=True)
    assert not answered or parse(answered).status in range(400, 500)
    assert answered or not data.strip(b"\r\n")


@LIVE
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=40),
    prefix=st.sampled_from(
        ["/", "/v1/jobs", "/v1/jobs/", "/jobs/get/", "/jobs/status/", "/v1/jobs?", "/v1/jobs/1/output?"]
    ),
)
def test_random_paths_and_queries_are_answered(server: Server, method: str, path: str, prefix: str) -> None:
    raw = send_raw(server.port, f"{method} {prefix}{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert parse(raw).status in (200, 400, 404, 405), raw


def test_server_is_well_after_all_that(server: Server) -> None:
    assert server.call("GET", "/readyz").json == {"status": "ready"}
    assert "Traceback" not in server.log
    assert "internal error" not in server.log
