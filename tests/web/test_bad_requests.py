"""Whatever a client sends, it gets an answer of 4xx in the documented form, and the server is well afterwards."""

import json

import pytest

from tests.support.raw import Answer, parse, send_raw
from tests.support.server import FORM, Server

ADD_PATHS = ("/jobs/add", "/v1/jobs")
GOOD = {"command": {"type": "http", "url": "http://127.0.0.1:9/"}, "delay": 3600}


def assert_is_a_proper_error(answer: Answer, path: str, *statuses: int) -> None:
    """The documented JSON of the API that the path belongs to."""
    assert answer.status in statuses, (answer.status, answer.body[:500])
    content = answer.json
    assert content["status"] == answer.status
    if path.startswith("/v1"):
        assert answer.type == "application/problem+json"
        assert {"type", "title", "status", "detail"} <= set(content)
        assert all(set(error) == {"pointer", "detail"} for error in content.get("errors", ()))
    else:
        assert answer.type == "application/json"
        assert isinstance(content["data"], str)
        assert content["data"]
        assert all(set(error) == {"path", "message"} for error in content.get("errors", ()))
    if answer.status == 400 and "errors" in content:
        assert content["errors"]


@pytest.fixture(autouse=True)
def _is_well_afterwards(server: Server) -> object:
    yield
    assert server.call("GET", "/healthz").status == 200
    assert "Traceback" not in server.log


def job(**members: object) -> bytes:
    return json.dumps(GOOD | members).encode()


def command(**members: object) -> bytes:
    return job(command={"type": "http", "url": "http://127.0.0.1:9/"} | members)


def exec_command(**members: object) -> bytes:
    return job(command={"type": "exec", "cmd": "true"} | members)


BODIES = {
    "empty": b"",
    "spaces": b"  \n ",
    "null": b"null",
    "text": b'"x"',
    "list": b"[]",
    "number": b"1",
    "empty object": b"{}",
    "half an object": b'{"command":',
    "more than one": b"{}{}",
    "a form": b"command=x&url=y",
    "not utf-8": b'{"command":{"type":"http","url":"http://h/\xff\xfe"}}',
    "not utf-8 in json": b'{"command":{"type":"http","url":"http://h/","json":"\xff"}}',
    "utf-16": json.dumps(GOOD).encode("utf-16"),
    "a surrogate": b'{"context":"\\ud800","command":{"type":"http","url":"http://h/"}}',
    "raw NUL": job().replace(b"3600", b"36\x0000"),
    "only NUL": b"\0" * 1000,
    "NUL in context": job(context="a\0b"),
    "NUL in url": command(url="http://h/\0"),
    "NUL in header": command(headers={"X": "a\0b"}),
    "NUL in header name": command(headers={"X\0": "a"}),
    "NUL in cmd": exec_command(cmd="a\0b"),
    "CRLF in header": command(headers={"X": "a\r\nHost: evil"}),
    "CRLF in url": command(url="http://h/\r\nHost: evil"),
    "a header that frames": command(headers={"Transfer-Encoding": "chunked"}),
    "nested deeply": b'{"command":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested deeply in params": b'{"command":{"type":"http","url":"http://h/","params":'
    + b'{"a":' * 50_000
    + b"1"
    + b"}" * 50_000
    + b"}}",
    "nested deeply in json": b'{"command":{"type":"http","url":"http://h/","json":'
    + b"[" * 200_000
    + b"]" * 200_000
    + b"}}",
    "open brackets": b"[" * 500_000,
    "NaN": job().replace(b"3600", b"NaN"),
    "Infinity": job().replace(b"3600", b"Infinity"),
    "1e999": job().replace(b"3600", b"1e999"),
    "5000 digits": job(priority=1).replace(b'"priority": 1', b'"priority": ' + b"9" * 5000),
    "negative priority": job(priority=-1),
    "priority 1001": job(priority=1001),
    "priority as text": job(priority="high"),
    "priority as fraction": job(priority=1.5),
    "priority null": job(priority=None),
    "context of 256": job(context="x" * 256),
    "context as number": job(context=1),
    "delay negative": job(delay=-1),
    "delay of 100 years": job(delay=1e10),
    "delay and run_at": job(run_at="2026-11-24T09:30:00Z"),
    "run_at nonsense": job(delay=None, run_at="soon"),
    "run_at without offset": job(delay=None, run_at="2026-11-24T09:30:00"),
    "run_at 9999": job(delay=None, run_at="99999-11-24T09:30:00Z"),
    "no command": job(command=None),
    "command as text": job(command="http://h/"),
    "command without type": job(command={"url": "http://h/"}),
    "command of no known type": job(command={"type": "ftp", "url": "http://h/"}),
    "command with a list as type": job(command={"type": [], "url": "http://h/"}),
    "both commands": job(command={"type": "http", "url": "http://h/", "cmd": "x"}),
    "unknown member": job(prio=1),
    "unknown member with hostile name": job(**{"a/~\0\n\u202e<script>": 1}),
    "url missing": job(command={"type": "http"}),
    "url empty": command(url=""),
    "url relative": command(url="/x"),
    "url of a file": command(url="file:///etc/passwd"),
    "url javascript": command(url="javascript:alert(1)"),
    "url without host": command(url="http://"),
    "url with port 99999": command(url="http://h:99999/"),
    "url with a bad IPv6 host": command(url="http://[::1/"),
    "url too long": command(url="http://h/" + "x" * 9000),
    "method unknown": command(method="BREW"),
    "method with a space": command(method="GET /x"),
    "timeout zero": command(timeout=0),
    "timeout as text": command(timeout="1"),
    "timeout of a month": command(timeout=3e6),
    "two bodies": command(body="x", json={}),
    "form and json": command(method="POST", params={"a": "b"}, json={}),
    "bad base64": command(body_base64="???"),
    "expect nonsense": command(expect="ok"),
    "expect 1000": command(expect=1000),
    "expect backwards": command(expect="299-200"),
    "headers as list": command(headers=[]),
    "header value as number": command(headers={"X": 1}),
    "cmd and args": exec_command(args=["x"]),
    "args empty": job(command={"type": "exec", "args": []}),
    "cwd relative": exec_command(cwd="x"),
    "env with equals": exec_command(env={"A=B": "x"}),
    "args too long": job(command={"type": "exec", "args": ["x" * 140_000]}),
    "retry as number": job(retry=5),
    "retry of 0 attempts": job(retry={"max_attempts": 0}),
    "retry of 1e6 attempts": job(retry={"max_attempts": 1_000_000}),
    "retry backwards": job(retry={"min_delay": 5, "max_delay": 1}),
    "retry unknown": job(retry={"tries": 5}),
    "callback wrong": job(callback_done={"type": "http", "url": "nowhere"}),
    "callback as text": job(callback_failed="http://h/"),
}


@pytest.mark.parametrize("path", ADD_PATHS)
@pytest.mark.parametrize("name", BODIES)
def test_bad_body_is_400_with_the_documented_json(server: Server, path: str, name: str) -> None:
    answer = server.call("POST", path, BODIES[name], FORM)
    assert_is_a_proper_error(answer, path, 400)
    assert answer.json["errors"]


@pytest.mark.parametrize("path", ADD_PATHS)
def test_good_body_is_accepted_so_that_the_bad_ones_prove_something(server: Server, path: str) -> None:
    for good in (job(), command(), exec_command(), b"\xef\xbb\xbf" + job(), b"  " + job() + b"\n"):
        assert server.call("POST", path, good).status in (200, 201)


@pytest.mark.parametrize("path", ADD_PATHS)
@pytest.mark.parametrize("size", [1024 * 1024 + 1, 5 * 1024 * 1024])
def test_too_large_body_is_413_with_content_length(server: Server, path: str, size: int) -> None:
    assert_is_a_proper_error(server.call("POST", path, b"x" * size), path, 413)


@pytest.mark.parametrize("path", ADD_PATHS)
def test_too_large_body_is_413_when_chunked(server: Server, path: str) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    data = (
        b"POST %b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode() + chunk * 40 + b"0\r\n\r\n"
    )
    assert_is_a_proper_error(parse(send_raw(server.port, data)), path, 413)


def test_body_of_just_the_limit_is_accepted(server: Server) -> None:
    body = command(body="")
    body = command(body="x" * (1024 * 1024 - len(body)))
    assert len(body) == 1024 * 1024
    assert server.call("POST", "/jobs/add", body).status == 200


@pytest.mark.parametrize("path", ADD_PATHS)
def test_announced_gigabytes_are_413_before_they_are_sent(server: Server, path: str) -> None:
    data = b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\nxx" % path.encode()
    assert_is_a_proper_error(parse(send_raw(server.port, data)), path, 413)


def test_chunked_body_is_read_like_any_other(server: Server) -> None:
    body = job()
    data = b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    data += b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    assert parse(send_raw(server.port, data)).status == 200


NOT_HTTP = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS hello\r\n\r\n",
    "a wrong version": b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"BREW /jobs/add HTTP/1.1\r\nHost: h\r\n\r\n",
    "connect": b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a raw byte in the path": b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n",
    "a raw byte in the query": b"GET /v1/jobs?x=\xff HTTP/1.1\r\nHost: h\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n",
    "a header without colon": b"GET / HTTP/1.1\r\nHost h\r\n\r\n",
    "two lengths": b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: -2\r\n\r\n{}",
    "a huge length": b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
    "a bad chunk": b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a negative chunk": b"POST /v1/jobs HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    "a huge chunk": b"POST /v1/jobs HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
    "only a line": b"hello\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_no_http_is_answered_with_the_documented_json(server: Server, name: str) -> None:
    data = NOT_HTTP[name]
    path = "/v1" if b" /v1/jobs HTTP" in data else "/"
    assert_is_a_proper_error(parse(send_raw(server.port, data)), path, 400)


def test_what_is_no_http_leaves_no_line_in_the_log(server: Server) -> None:
    before = server.log
    for _ in range(20):
        send_raw(server.port, NOT_HTTP["garbage"])
    assert server.log == before


@pytest.mark.parametrize("path", ["/", "/v1/jobs"])
def test_headers_larger_than_the_limit_are_431(server: Server, path: str) -> None:
    data = b"GET %b HTTP/1.1\r\nHost: h\r\n" % path.encode()
    endless = data + b"X: " + b"x" * 1_000_000
    many = data + b"".join(b"X-%d: x\r\n" % n for n in range(50_000))
    for attack in (endless, many):
        assert_is_a_proper_error(parse(send_raw(server.port, attack)), path, 431)


def test_more_headers_than_the_limit_are_431(server: Server) -> None:
    lines = [b"X-%d: x\r\n" % number for number in range(100)]
    head = b"GET / HTTP/1.1\r\nHost: h\r\n"
    assert parse(send_raw(server.port, head + b"".join(lines[:99]) + b"\r\n")).status == 200
    answer = parse(send_raw(server.port, head + b"".join(lines) + b"\r\n"))
    assert_is_a_proper_error(answer, "/", 431)
    assert "100 headers" in answer.json["data"]


@pytest.mark.parametrize("end", [b" HTTP/1.1\r\nHost: h\r\n\r\n", b""])
@pytest.mark.parametrize("size", [8 * 1024, 1_000_000])
def test_longer_url_than_the_limit_is_414(server: Server, end: bytes, size: int) -> None:
    answer = parse(send_raw(server.port, b"GET /" + b"x" * size + end))
    assert_is_a_proper_error(answer, "/", 414)
    assert "8192 bytes" in answer.json["data"]


def test_url_of_just_the_limit_is_looked_at(server: Server) -> None:
    assert server.call("GET", "/" + "x" * (8 * 1024 - 1)).status == 404


def test_more_query_parameters_than_the_limit_are_400(server: Server) -> None:
    answer = server.call("GET", "/v1/jobs?" + "&".join(f"tag.x{number}=1" for number in range(101)))
    assert_is_a_proper_error(answer, "/v1", 400)
    assert "100 parameters" in answer.json["detail"]


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/v1/jobs/1"),
        ("POST", "/v1/jobs/1/cancel"),
        ("POST", "/v1/jobs/1/complete"),
        ("POST", "/v1/jobs:cancel"),
        ("POST", "/v1/jobs/batch"),
    ],
)
@pytest.mark.parametrize(
    "body", [DEEP, b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b'{"x":' + DEEP + b"}"]
)
def test_deep_nesting_is_400_wherever_a_body_is_read(server: Server, method: str, path: str, body: bytes) -> None:
    server.add({"type": "http", "url": "http://127.0.0.1:9/"}, delay=3600)
    answer = server.call(method, path, body, {"Content-Type": "application/json"})
    assert_is_a_proper_error(answer, path, 400, 404, 409, 415)


def test_request_of_a_client_that_closes_its_half_is_answered(server: Server) -> None:
    body = job()
    data = b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert parse(send_raw(server.port, data, half_close=True)).status == 200


def test_body_that_ends_too_early_is_400(server: Server) -> None:
    data = b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n" + b'{"command":'
    assert_is_a_proper_error(parse(send_raw(server.port, data, half_close=True)), "/", 400)


def test_request_before_garbage_is_still_answered(server: Server) -> None:
    body = job()
    data = b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body + b"\0\0\0garbage"
    answer = parse(send_raw(server.port, data))
    assert answer.status == 200
    assert answer.json["status"] == "OK"


def test_upgrade_is_ignored_and_the_request_answered(server: Server) -> None:
    head = b"Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    assert parse(send_raw(server.port, b"GET / HTTP/1.1\r\n" + head + b"\r\n")).json["status"] == "running"
    body = job()
    data = b"POST /jobs/add HTTP/1.1\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert parse(send_raw(server.port, data)).status == 200
    websocket = b"GET /jobs/status HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert parse(send_raw(server.port, websocket)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/jobs/add", {"POST"}),
        ("PUT", "/jobs/add", {"POST"}),
        ("OPTIONS", "/jobs/add", {"POST"}),
        ("DELETE", "/v1/jobs", {"GET", "HEAD", "POST"}),
        ("POST", "/v1/jobs/1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("POST", "/jobs/status", {"GET", "HEAD"}),
        ("POST", "/", {"GET", "HEAD"}),
        ("TRACE", "/healthz", {"GET", "HEAD"}),
    ],
)
def test_wrong_method_is_405_and_says_what_is_allowed(server: Server, method: str, path: str, allow: set[str]) -> None:
    answer = server.call(method, path)
    assert_is_a_proper_error(answer, path, 405)
    assert set(answer.headers["Allow"].split(", ")) == allow


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/jobs", "/jobs/", "/jobs/add/", "/jobs/get", "/jobs/get/", "//jobs/add", "/v1", "/v1/", "/v1/nothing",
     "/v1/jobs/", "/v1/jobs/1/nothing", "/%2e%2e/etc/passwd", "/../etc/passwd", "/%00", "/%ff%fe", "/v1/%0a",
     "/" + "x" * 5000, "/favicon.ico"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_path_is_404(server: Server, method: str, path: str) -> None:
    assert_is_a_proper_error(server.call(method, path), path, 404)


@pytest.mark.parametrize("tail", ["", "/attempts", "/output"])
@pytest.mark.parametrize(
    "job_id", ["0", "-1", "x", "1.0", "99999999999", "9" * 300, str(2**53), str(2**63), "%00", "%c3%28"]
)
def test_absurd_id_is_404(server: Server, job_id: str, tail: str) -> None:
    assert_is_a_proper_error(server.call("GET", f"/v1/jobs/{job_id}{tail}"), "/v1", 404)


@pytest.mark.parametrize(
    "query",
    ["state=asleep", "state=RUNNING", "state=%00", "limit=0", "limit=-1", "limit=1001", "limit=x", "limit=1e3",
     "limit=" + "9" * 500, "limit=", "limit=%00", "limit=%D9%A3", "cursor=x", "cursor=0", "cursor=1.5", "surprise=1",
     "%ff=%ff"],
)  # fmt: skip
def test_bad_query_parameter_is_400_that_names_it(server: Server, query: str) -> None:
    answer = server.call("GET", f"/v1/jobs?{query}")
    assert_is_a_proper_error(answer, "/v1", 400)
    assert len(answer.json["errors"]) == 1


@pytest.mark.parametrize("query", ["stream=x", "attempt=0", "attempt=x", "attempt=99999999999"])
def test_bad_output_parameter_is_400(server: Server, query: str) -> None:
    job_id = server.call("POST", "/v1/jobs", job()).json["id"]
    assert_is_a_proper_error(server.call("GET", f"/v1/jobs/{job_id}/output?{query}"), "/v1", 400)


def test_context_that_no_job_can_have_is_400_and_any_other_just_finds_nothing(server: Server) -> None:
    for context in ("%ff", "'%20or%201=1--", "%25"):
        assert server.call("GET", f"/v1/jobs?context={context}").json == {"items": [], "next_cursor": None}
    for context in ("%00", "x" * 5000):
        assert_is_a_proper_error(server.call("GET", f"/v1/jobs?context={context}"), "/v1", 400)
