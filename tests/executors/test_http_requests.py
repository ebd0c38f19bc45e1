"""What an http job sends, seen by its target."""

import base64

import pytest

from tests.support import fixtures
from tests.support.server import Server
from tests.support.target import Reply, Target

server, target, path = fixtures.server, fixtures.target, fixtures.path


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_is_the_one_named(server: Server, target: Target, path: str, method: str) -> None:
    job = server.run({"type": "http", "url": target.on(path), "method": method})
    assert target.of(path)[0].method == method
    assert (job["state"], job["exit_code"]) == ("completed", 200)


def test_method_is_get_and_post_when_there_is_a_body(server: Server, target: Target, path: str) -> None:
    url = target.on(path)
    for command in ({}, {"json": None}, {"body": ""}, {"body_base64": ""}):
        server.run({"type": "http", "url": url, **command})
    assert [request.method for request in target.of(path)] == ["GET", "POST", "POST", "POST"]
    assert [request.body for request in target.of(path)] == [b"", b"null", b"", b""]


PARAMS = {
    "text": "a b&c=d/é",
    "number": 12,
    "fraction": 1.5,
    "yes": True,
    "no": False,
    "nothing": None,
    "list": [1, "two", [3]],
    "map": {"x": 1, "y": {"z": "deep"}},
    "empty": "",
    "": "nameless",
}
NESTED = [
    ("text", "a b&c=d/é"),
    ("number", "12"),
    ("fraction", "1.5"),
    ("yes", "1"),
    ("no", "0"),
    ("list[0]", "1"),
    ("list[1]", "two"),
    ("list[2][0]", "3"),
    ("map[x]", "1"),
    ("map[y][z]", "deep"),
    ("empty", ""),
    ("", "nameless"),
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_params_go_into_the_query_nested_as_php_does(server: Server, target: Target, path: str, method: str) -> None:
    server.run({"type": "http", "url": target.on(path) + "?already=1#part", "method": method, "params": PARAMS})
    request = target.of(path)[0]
    assert request.query == [("already", "1"), *NESTED]
    assert request.body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_params_become_a_form_body_nested_as_php_does(server: Server, target: Target, path: str, method: str) -> None:
    server.run({"type": "http", "url": target.on(path) + "?already=1", "method": method, "params": PARAMS})
    request = target.of(path)[0]
    assert request.header("Content-Type") == "application/x-www-form-urlencoded"
    assert request.query == [("already", "1")]
    assert request.form == NESTED


def test_params_and_json_travel_together_where_params_are_the_query(server: Server, target: Target, path: str) -> None:
    server.run({"type": "http", "url": target.on(path), "method": "DELETE", "params": {"a": 1}, "json": [1]})
    request = target.of(path)[0]
    assert (request.query, request.body) == ([("a", "1")], b"[1]")


EXACT = [
    b'{"huge":123456789012345678901234567890,"infinite":1e999,"exact":0.10000000000000000000001}',
    b'[-0, 1E+2, 1.0, "\\u00e9\\/", {"b":1, "a":2, "b":3}]',
    b'  {"spaces" :  [ ] }  ',
    '"é\U0001f418"'.encode(),
    b'"' + b"x" * 200_000 + b'"',
]


@pytest.mark.parametrize("sent", EXACT, ids=range(len(EXACT)))
def test_json_arrives_byte_for_byte(server: Server, target: Target, path: str, sent: bytes) -> None:
    url = target.on(path).encode()
    body = b'{"command":{"type":"http","url":"' + url + b'","json":' + sent + b"}}"
    assert server.call("POST", "/jobs/add", body).status == 200
    request = target.wait(path)[0]
    assert request.body == sent.strip()
    assert (request.method, request.header("Content-Type")) == ("POST", "application/json")


def test_body_is_sent_as_text(server: Server, target: Target, path: str) -> None:
    server.run({"type": "http", "url": target.on(path), "body": "héllo\0\r\n"})
    request = target.of(path)[0]
    assert request.body == "héllo\0\r\n".encode()
    assert request.header("Content-Type") == "text/plain; charset=utf-8"


def test_body_base64_is_sent_as_its_bytes(server: Server, target: Target, path: str) -> None:
    sent = bytes(range(256)) * 100
    server.run({"type": "http", "url": target.on(path), "body_base64": base64.b64encode(sent).decode()})
    request = target.of(path)[0]
    assert request.body == sent
    assert request.header("Content-Type") == "application/octet-stream"


def test_headers_are_sent_as_given_each_once(server: Server, target: Target, path: str) -> None:
    headers = {
        "X-Tenant": "acme",
        "content-type": "application/vnd.mine+json",
        "User-Agent": "mine/1",
        "Accept": "text/plain",
        "Authorization": "Bearer s3cret",
        "X-Text": "häß",
        "X-Empty": "",
    }
    server.run({"type": "http", "url": target.on(path), "json": {}, "headers": headers})
    request = target.of(path)[0]
    for name, value in headers.items():
        assert (request.header(name) or "").encode() == value.encode() or request.header(name) == value


def test_host_header_can_be_given(server: Server, target: Target, path: str) -> None:
    server.run({"type": "http", "url": target.on(path), "headers": {"Host": "shop.example"}})
    assert target.of(path)[0].header("Host") == "shop.example"


def test_user_info_of_the_url_becomes_credentials(server: Server, target: Target, path: str) -> None:
    target.on(path)
    job = server.run({"type": "http", "url": f"http://ann:s%20cret@127.0.0.1:{target.port}{path}"})
    assert target.of(path)[0].header("Authorization") == "Basic " + base64.b64encode(b"ann:s cret").decode()
    assert "cret" not in job["summary"]


def test_answer_of_a_server_is_asked_for_without_compression(server: Server, target: Target, path: str) -> None:
    server.run({"type": "http", "url": target.on(path)})
    assert target.of(path)[0].header("Accept-Encoding") == "identity"


@pytest.mark.parametrize(
    ("expect", "status", "state"),
    [
        (None, 204, "completed"),
        (None, 299, "completed"),
        (None, 300, "failed"),
        (None, 404, "failed"),
        ("200-299,404", 404, "completed"),
        ("404", 200, "failed"),
        (500, 500, "completed"),
        ("301", 301, "completed"),
        ("599", 599, "completed"),
    ],
)
def test_expect_says_which_status_means_success(
    server: Server, target: Target, path: str, *, expect: object, status: int, state: str
) -> None:
    url = target.on(path, Reply(status, b"" if status == 204 else b"x"))
    job = server.run({"type": "http", "url": url} | ({} if expect is None else {"expect": expect}))
    assert (job["state"], job["exit_code"]) == (state, status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_fails(server: Server, target: Target, path: str, status: int) -> None:
    elsewhere = target.on(path + "/elsewhere")
    job = server.run({"type": "http", "url": target.on(path, Reply(status, headers=[("Location", elsewhere)]))})
    assert (job["state"], job["exit_code"]) == ("failed", status)
    assert f"redirects are not followed (to {elsewhere})" in job["error"]
    assert target.of(path + "/elsewhere") == []
