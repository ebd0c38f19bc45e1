"""Every request with every scope and every binding, on a real server: who may do what, and what nobody else even sees.

The table below is the rule. A request that is not in it fails the test, so that none is forgotten.
"""

import http.client
import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress

import pytest

from queue_server.domain.access import Right, held
from queue_server.web.access.lasting import LOOK_EVERY_S
from tests.support.raw import Answer
from tests.support.server import Server, running
from tests.support.target import Target

ADMIN = "admin-token-of-the-test-0123456789"
ABSENT = 987_654_321

OPEN = None
BODIES = {"changeJob": {"priority": 1}}
REFUSED = (401, 403, 429, 500, 503)
NEEDS: dict[str, Right | None] = {
    "addJob": Right.ADD,
    "addJobsBatch": Right.ADD,
    "cancelJob": Right.MANAGE,
    "cancelJobs": Right.MANAGE,
    "cancelOperation": Right.MANAGE,
    "changeJob": Right.MANAGE,
    "classicAddJob": Right.ADD,
    "classicJob": Right.READ,
    "classicJobStatus": Right.READ,
    "classicRoot": Right.READ,
    "classicStatus": Right.READ,
    "completeAttempt": Right.ADD,
    "createSigningSecret": Right.ADMIN,
    "createToken": Right.ADMIN,
    "deleteJob": Right.MANAGE,
    "deleteJobs": Right.MANAGE,
    "deleteSecret": Right.ADMIN,
    "explainJob": Right.READ,
    "failAttempt": Right.ADD,
    "getDocs": OPEN,
    "getDocsFile": OPEN,
    "getEvents": Right.READ,
    "getJob": Right.READ,
    "getJobEvents": Right.READ,
    "getJobOutput": Right.READ_OUTPUT,
    "getOpenApi": OPEN,
    "getOperation": Right.READ,
    "getStats": Right.READ,
    "getToken": Right.ADMIN,
    "heartbeat": Right.ADD,
    "isAlive": OPEN,
    "isReady": OPEN,
    "listAttempts": Right.READ,
    "listAudit": Right.ADMIN,
    "listJobs": Right.READ,
    "listOperations": Right.READ,
    "listSecrets": Right.ADMIN,
    "listTokens": Right.ADMIN,
    "putSecret": Right.ADMIN,
    "rekeySecrets": Right.ADMIN,
    "retryJob": Right.MANAGE,
    "retryJobs": Right.MANAGE,
    "revokeToken": Right.ADMIN,
    "rotateSecret": Right.ADMIN,
    "rotateToken": Right.ADMIN,
    "runJob": Right.MANAGE,
}


class Door:
    """Asks a server with one token or another."""

    def __init__(self, server: Server, target_url: str) -> None:
        self.server = server
        self.target_url = target_url
        self.tokens = {"admin": ADMIN}
        self.operations = self._operations()

    def ask(self, method: str, path: str, token: str | None, body: object = None) -> Answer:
        """The status and, unless it is a stream, the body of an answer."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            is_stream = response.getheader("Content-Type", "").startswith("text/event-stream")
            return Answer(response.status, response.headers, b"" if is_stream else response.read())
        finally:
            connection.close()

    def make(self, **members: object) -> str:
        """A token."""
        name = f"t{len(self.tokens)}"
        made = self.ask("POST", "/v1/tokens", ADMIN, {"name": name, **members})
        assert made.status == 201, made
        self.tokens[name] = made.json["token"]
        return made.json["token"]

    def add(self, **members: object) -> int:
        """A job that waits for a day."""
        job = {"command": {"type": "http", "url": self.target_url}, "delay": 86_400, **members}
        added = self.ask("POST", "/v1/jobs", ADMIN, job)
        assert added.status == 201, added
        return added.json["id"]

    def _operations(self) -> list[tuple[str, str, str]]:
        document = self.ask("GET", "/v1/openapi.json", None).json
        return [
            (operation["operationId"], method.upper(), path)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]


@pytest.fixture(scope="module")
def door(tmp_path_factory, target: Target) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("access")
    with running(folder, "--login-limit", "1000000", environ={"QUEUE_SERVER_ADMIN_TOKEN": ADMIN}) as server:
        yield Door(server, f"{target.url}/x")


def text_of(answer: Answer) -> str:
    return answer.body.decode()


def with_ids(path: str, job_id: int = ABSENT) -> str:
    """The path with its parameters filled."""
    filled = path.replace("{job_id}", str(job_id)).replace("{claim}", "1")
    for name, value in (
        ("operation_id", str(ABSENT)),
        ("token_id", str(ABSENT)),
        ("file", "page.js"),
        ("secret_name", "absent"),
    ):
        filled = filled.replace("{" + name + "}", value)
    assert "{" not in filled, filled
    return filled


def test_every_request_is_in_the_table_and_the_table_has_no_others(door):
    assert {name for name, _, _ in door.operations} == set(NEEDS)


def test_nobody_gets_in_without_a_token_or_with_a_wrong_one(door):
    for name, method, path in door.operations:
        without, wrong = (door.ask(method, with_ids(path), token) for token in (None, "qs_wrong"))
        if NEEDS[name] is OPEN:
            assert without.status not in (401, 403), name
        else:
            assert (without.status, "WWW-Authenticate" in without.headers) == (401, True), name
            assert wrong.status in (401, 429), name


@pytest.mark.parametrize("scope", list(Right))
def test_token_of_one_scope_may_do_what_it_holds_and_nothing_else(door, scope):
    token = door.make(scopes=[scope])
    for name, method, path in door.operations:
        needed = NEEDS[name]
        answer = door.ask(method, with_ids(path), token)
        if needed is OPEN or needed in held((scope,)):
            assert answer.status not in REFUSED, (name, answer)
        else:
            assert answer.status == 403, (name, answer)
            assert str(needed) in text_of(answer), answer


EVERYTHING = [right for right in Right if right is not Right.ADMIN]


@pytest.mark.parametrize("binding", [{"contexts": ["mine"]}, {"queues": ["mine"]}])
def test_bound_token_finds_others_jobs_as_absent_as_those_that_never_were(door, binding):
    token = door.make(scopes=EVERYTHING, **binding)
    foreign, own = door.add(context="other", queue="other"), {"context": "mine", "queue": "mine"}
    of_a_job = [(name, method, path) for name, method, path in door.operations if "{job_id}" in path]
    assert len(of_a_job) >= 14
    for name, method, path in of_a_job:
        hidden, absent = (
            door.ask(method, with_ids(path, job_id), token, BODIES.get(name)) for job_id in (foreign, ABSENT)
        )
        assert hidden.status == 404, (name, hidden)
        assert text_of(hidden).replace(str(foreign), "ID") == text_of(absent).replace(str(ABSENT), "ID"), name
        seen = door.ask(method, with_ids(path, door.add(**own)), token, BODIES.get(name))
        assert seen.status not in REFUSED, (name, seen)
        if NEEDS[name] is not Right.READ_OUTPUT:  # there is no output yet, which is a 404 too
            assert seen.status != 404, (name, seen)
    assert door.ask("GET", f"/v1/jobs/{foreign}", ADMIN).json["state"] == "scheduled"


def test_bound_token_lists_counts_and_changes_its_own_jobs_only(door):
    token = door.make(scopes=EVERYTHING, contexts=["list"])
    mine, others = {door.add(context="list") for _ in range(3)}, door.add(context="tsil")
    listed = door.ask("GET", "/v1/jobs?limit=100", token).json["items"]
    assert {job["id"] for job in listed} == mine
    assert door.ask("GET", "/v1/jobs?context=tsil", token).json["items"] == []
    counted = door.ask("POST", "/v1/jobs:cancel", token, {"filter": {}, "dry_run": True})
    assert counted.json["matched"] == 3
    started = door.ask("POST", "/v1/jobs:cancel", token, {"filter": {"state": ["scheduled"]}})
    assert started.status == 202, started
    operation = door.ask("GET", f"/v1/operations/{started.json['operation']['id']}?wait=20", token).json
    assert (operation["state"], operation["done"]) == ("completed", 3)
    assert door.ask("GET", f"/v1/jobs/{others}", ADMIN).json["state"] == "scheduled"
    assert door.ask("GET", "/jobs/status", token).json["data"]["waiting"] == 0


def test_bound_token_adds_to_its_own_context_only(door):
    token = door.make(scopes=["add", "read"], contexts=["mail"])
    job = {"command": {"type": "http", "url": door.target_url}, "delay": 86_400}
    added = door.ask("POST", "/v1/jobs", token, job)
    assert (added.status, added.json["context"]) == (201, "mail")
    for refused in (
        door.ask("POST", "/v1/jobs", token, {**job, "context": "shop"}),
        door.ask("POST", "/jobs/add", token, {**job, "context": "shop"}),
        door.ask("POST", "/v1/jobs/batch", token, [job, {**job, "context": "shop"}]),
    ):
        assert refused.status == 403, refused
        assert "mail" in text_of(refused)
    assert len(door.ask("GET", "/v1/jobs", token).json["items"]) == 1


def test_keys_of_two_tokens_never_meet(door):
    first, second = door.make(scopes=["add", "read"]), door.make(scopes=["add", "read"])
    job = {"command": {"type": "http", "url": door.target_url}, "delay": 86_400, "idempotency_key": "same"}
    ids = [door.ask("POST", "/v1/jobs", token, job).json["id"] for token in (first, second, first, second, ADMIN)]
    assert ids[0] == ids[2] != ids[1] == ids[3]
    assert ids[4] not in ids[:4]


@pytest.mark.parametrize(("user", "password"), [("{}", ""), ("{}", "x"), ("", "{}"), ("michael", "{}")])
def test_old_client_puts_its_token_into_the_url(door, user, password):
    token = door.make(scopes=["add", "read"])
    basic = b64encode(f"{user.format(token)}:{password.format(token)}".encode()).decode()
    job = {"command": {"type": "http", "url": door.target_url}, "delay": 86_400}
    answer = door.server.call("POST", "/jobs/add", job, {"Authorization": f"Basic {basic}"})
    assert answer.status == 200, answer
    assert door.server.call("GET", "/", headers={"Authorization": f"Basic {basic}"}).status == 200


def test_token_that_is_revoked_or_rotated_ends_without_a_restart(door):
    made = door.ask("POST", "/v1/tokens", ADMIN, {"name": "short-lived", "scopes": ["read"]}).json
    path = f"/v1/tokens/{made['id']}"
    assert door.ask("GET", "/v1/jobs", made["token"]).status == 200
    rotated = door.ask("POST", f"{path}/rotate", ADMIN, {"overlap": 0}).json["token"]
    assert door.ask("GET", "/v1/jobs", made["token"]).status == 401
    assert door.ask("GET", "/v1/jobs", rotated).status == 200
    assert door.ask("DELETE", path, ADMIN).status == 204
    assert door.ask("GET", "/v1/jobs", rotated).status == 401


def test_stream_ends_soon_after_its_token_is_revoked(door):
    made = door.ask("POST", "/v1/tokens", ADMIN, {"name": "listener", "scopes": ["read"]}).json
    with socket.create_connection(("127.0.0.1", door.server.port), 20) as stream:
        stream.sendall(
            b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n" % made["token"].encode()
        )
        assert b"200 OK" in stream.recv(4096)
        assert door.ask("DELETE", f"/v1/tokens/{made['id']}", ADMIN).status == 204
        with suppress(ConnectionResetError):
            while stream.recv(4096):
                pass


def test_stream_of_a_token_that_stays_goes_on(door):
    token = door.make(scopes=["read"])
    with socket.create_connection(("127.0.0.1", door.server.port), 20) as stream:
        stream.sendall(
            b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n" % token.encode()
        )
        opening = b""
        while b"id: " not in opening:
            opening += stream.recv(4096)
        assert b"200 OK" in opening
        stream.settimeout(LOOK_EVERY_S + 2)
        with pytest.raises(TimeoutError):
            stream.recv(4096)


def test_wrong_tokens_of_one_address_are_limited_and_right_ones_never(tmp_path):
    environ = {"QUEUE_SERVER_ADMIN_TOKEN": ADMIN}
    with running(tmp_path, "--login-limit", "3", environ=environ) as server:
        wrong = [server.call("GET", "/v1/jobs", headers={"Authorization": f"Bearer qs_{n}"}) for n in range(5)]
        assert [answer.status for answer in wrong] == [401, 401, 401, 429, 429]
        assert 1 <= int(wrong[-1].headers["Retry-After"]) <= 60
        assert "login_limit" in text_of(wrong[-1])
        assert server.call("GET", "/v1/jobs", headers={"Authorization": f"Bearer {ADMIN}"}).status == 200
        assert server.call("GET", "/v1/jobs").status == 401


def test_what_is_managed_is_in_the_audit_log_with_who_and_how_many(door):
    token = door.make(scopes=["manage"], contexts=["audit"])
    name = f"t{len(door.tokens) - 1}"
    jobs = [door.add(context="audit") for _ in range(3)]
    assert door.ask("POST", f"/v1/jobs/{jobs[0]}/cancel", token).status == 200
    assert door.ask("POST", f"/v1/jobs/{ABSENT}/cancel", token).status == 404
    assert (
        door.ask("POST", "/v1/jobs:cancel", token, {"filter": {"state": ["scheduled"]}, "dry_run": True}).status == 200
    )
    started = door.ask("POST", "/v1/jobs:cancel", token, {"filter": {"state": ["scheduled"]}}).json
    acts = [act for act in door.ask("GET", "/v1/audit?limit=20", ADMIN).json["items"] if act["who"] == name]
    assert [(act["action"], act["target"], act["count"]) for act in acts] == [
        ("cancelJobs", f"/v1/operations/{started['operation']['id']}", 2),
        ("cancelJob", f"/v1/jobs/{jobs[0]}/cancel", None),
    ]
    assert all(act["address"] == "127.0.0.1" for act in acts)
    assert token not in json.dumps(acts)


def test_signing_secret_that_is_made_is_named_in_the_audit_log(door):
    assert door.ask("POST", "/v1/secrets", ADMIN, {"name": "partner"}).status == 201
    (act, *_) = door.ask("GET", "/v1/audit?limit=1", ADMIN).json["items"]
    assert (act["action"], act["target"]) == ("createSigningSecret", "/v1/secrets/partner")
    assert door.ask("DELETE", "/v1/secrets/partner", ADMIN).status == 204


PAGES = [
    ({"Origin": "http://evil.com"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    ({"Host": "evil.com"}, 403),
    ({"Host": "evil.com:1337", "Origin": "http://evil.com:1337", "Sec-Fetch-Site": "same-origin"}, 403),
    ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
    ({"Origin": "https://admin.example.com"}, 403),
    ({}, 200),
]


def test_pages_of_others_do_nothing_on_a_server_without_tokens(server: Server, target: Target):
    job = {"command": {"type": "http", "url": f"{target.url}/x"}}
    for headers, status in PAGES:
        answer = server.call("POST", "/jobs/add", job, headers)
        assert answer.status == status, (headers, answer)
        assert server.call("GET", "/v1/jobs", headers=headers).status == status, headers
    assert server.get("/v1/stats")["jobs"]["completed"] <= 2


def test_page_of_an_allowed_origin_may_ask_and_read(make_server, target: Target):
    server = make_server("--allowed-origins", "https://admin.example.com").start()
    page = {"Origin": "https://admin.example.com"}
    ahead = server.call("OPTIONS", "/v1/jobs", headers={**page, "Access-Control-Request-Method": "POST"})
    assert ahead.status == 204
    assert "POST" in ahead.headers["Access-Control-Allow-Methods"]
    job = {"command": {"type": "http", "url": f"{target.url}/x"}}
    for answer in (
        ahead,
        server.call("POST", "/v1/jobs", job, page),
        server.call("POST", "/jobs/add", job, page),
        server.call("GET", "/v1/jobs", headers=page),
        server.call("GET", "/v1/jobs/999", headers=page),
        server.call("POST", "/jobs/add", {}, page),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://admin.example.com", answer
    stranger = server.call("OPTIONS", "/v1/jobs", headers={"Origin": "http://evil.com"})
    assert "Access-Control-Allow-Origin" not in stranger.headers
