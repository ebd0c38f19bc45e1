"""The requests for tokens, and what tokens do to others, on the running server."""

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.raw import Answer
from tests.support.server import PROGRAM, Server, running
from tests.support.waiting import until

SETTING = "the-admin-token-of-the-settings"
TEXT = re.compile(r"qs_[0-9A-Za-z]{43}")
UNKNOWN = ("0", "99", "x", "-1", "1e3", "9" * 17)


def bearer(text: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server whose settings have an admin token, which the module's tests share."""
    with running(tmp_path_factory.mktemp("server"), environ={"QUEUE_SERVER_ADMIN_TOKEN": SETTING}) as server:
        yield server


def ask(server: Server, method: str, path: str = "", body: object = None, token: str = SETTING) -> Answer:
    return server.call(method, f"/v1/tokens{path}", body, bearer(token))


def make(server: Server, name: str, **members: Any) -> Any:
    answer = ask(server, "POST", body={"name": name, **members})
    assert answer.status == 201, answer
    return answer.json


def works(server: Server, text: str) -> bool:
    status = server.call("GET", "/v1/jobs", headers=bearer(text)).status
    assert status in (200, 401)
    return status == 200


def test_made_token_is_shown_with_its_text_once(guarded, path):
    name = f"once{path[1:]}"
    answer = ask(guarded, "POST", body={"name": name, "scopes": ["read"], "contexts": ["shop"], "ttl": 3600})
    made = answer.json
    assert (answer.status, answer.headers["location"]) == (201, f"/v1/tokens/{made['id']}")
    assert answer.headers["cache-control"] == "no-store"
    text = made.pop("token")
    assert TEXT.fullmatch(text)
    shown = ask(guarded, "GET", f"/{made['id']}")
    assert (shown.status, shown.json) == (200, made)
    assert (made["name"], made["state"], made["scopes"], made["contexts"]) == (name, "active", ["read"], ["shop"])
    assert made["expires_at"] > made["created_at"]
    assert made["queues"] is made["revoked_at"] is made["last_used_at"] is made["http_targets"] is None
    everything = ask(guarded, "GET", "?revoked=true&limit=200").body
    assert text.encode() not in everything + shown.body
    assert text not in guarded.log


def test_token_gives_its_rights_and_no_more(guarded, path):
    made = make(guarded, f"rights{path[1:]}", scopes=["read"])
    text = made["token"]
    assert works(guarded, text)
    for method, body in (("GET", None), ("POST", {"name": "more", "scopes": ["admin"]})):
        assert ask(guarded, method, body=body, token=text).status == 403
    for rest, method in ((f"/{made['id']}", "DELETE"), (f"/{made['id']}", "GET"), (f"/{made['id']}/rotate", "POST")):
        assert ask(guarded, method, rest, token=text).status == 403
    assert ask(guarded, "GET", f"/{made['id']}").json["last_used_at"] is not None


def test_nobody_without_a_token_sees_or_makes_one(guarded):
    for method in ("GET", "POST"):
        answer = guarded.call(method, "/v1/tokens", {"name": "mine"} if method == "POST" else None)
        assert answer.status == 401, answer


def test_list_is_paged_newest_first(guarded, path):
    ids = [make(guarded, f"page{path[1:]}.{number}")["id"] for number in range(3)]
    first = ask(guarded, "GET", "?limit=2").json
    assert [token["id"] for token in first["items"]] == ids[:0:-1]
    second = ask(guarded, "GET", f"?limit=1&cursor={first['next_cursor']}").json
    assert [token["id"] for token in second["items"]] == ids[:1]
    last = ask(guarded, "GET", "?limit=200&revoked=1").json
    assert last["next_cursor"] is None
    assert last["items"][-1]["id"] == 1


def test_revoked_token_works_no_longer_and_is_listed_on_request(guarded, path):
    made = make(guarded, f"revoked{path[1:]}", scopes=["admin"])
    assert works(guarded, made["token"])
    answer = ask(guarded, "DELETE", f"/{made['id']}")
    assert (answer.status, answer.body) == (204, b"")
    assert not works(guarded, made["token"])
    assert ask(guarded, "DELETE", f"/{made['id']}").status == 204
    assert made["id"] not in [token["id"] for token in ask(guarded, "GET", "?limit=200").json["items"]]
    listed = {token["id"]: token for token in ask(guarded, "GET", "?limit=200&revoked=true").json["items"]}
    assert listed[made["id"]]["state"] == "revoked"
    assert ask(guarded, "POST", f"/{made['id']}/rotate").status == 409


def test_rotated_token_has_two_texts_until_the_overlap_is_over(guarded, path):
    made = make(guarded, f"rotated{path[1:]}", scopes=["read"])
    answer = ask(guarded, "POST", f"/{made['id']}/rotate")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    new = answer.json
    assert new["token"] != made["token"]
    assert new["old_until"] > new["created_at"]
    assert works(guarded, made["token"])
    assert works(guarded, new["token"])
    last = ask(guarded, "POST", f"/{made['id']}/rotate", {"overlap": 0}).json
    assert not works(guarded, made["token"])
    assert not works(guarded, new["token"])
    assert works(guarded, last["token"])


def test_token_expires(guarded, path):
    made = make(guarded, f"short{path[1:]}", scopes=["read"], ttl=1)
    assert works(guarded, made["token"])
    until(lambda: not works(guarded, made["token"]), 5)
    assert ask(guarded, "GET", f"/{made['id']}").json["state"] == "expired"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/name"]),
        ({"name": ""}, ["/name"]),
        ({"name": "a", "scopes": ["write"]}, ["/scopes"]),
        ({"name": "a", "expires_at": "2001-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"name": "a", "colour": 1, "ttl": "x"}, ["/colour", "/ttl"]),
        ({"name": "a", "scopes": ["admin"], "queues": ["q"]}, ["/queues"]),
        ([], [""]),
    ],
)
def test_bad_token_names_the_member(guarded, body, pointers):
    answer = ask(guarded, "POST", body=body)
    assert (answer.status, answer.type) == (400, "application/problem+json")
    assert [error["pointer"] for error in answer.json["errors"]] == pointers


def test_name_that_is_taken_is_a_conflict(guarded, path):
    name = f"taken{path[1:]}"
    made = make(guarded, name)
    answer = ask(guarded, "POST", body={"name": name})
    assert answer.status == 409
    assert [error["pointer"] for error in answer.json["errors"]] == ["/name"]
    ask(guarded, "DELETE", f"/{made['id']}")
    make(guarded, name)


@pytest.mark.parametrize("body", [{"overlap": -1}, {"overlap": "1d"}, {"overlap": 1e12}])
def test_bad_overlap_is_refused(guarded, path, body):
    made = make(guarded, f"overlap{path[1:]}", scopes=["read"])
    answer = ask(guarded, "POST", f"/{made['id']}/rotate", body)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.json["errors"]] == ["/overlap"]
    assert works(guarded, made["token"])


@pytest.mark.parametrize("token_id", UNKNOWN)
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", ""), ("POST", "/rotate")])
def test_unknown_token_is_404(guarded, method, rest, token_id):
    assert ask(guarded, method, f"/{token_id}{rest}").status == 404


@pytest.mark.parametrize("query", ["?revoked=perhaps", "?limit=0", "?cursor=x", "?name=ci"])
def test_bad_query_is_refused(guarded, query):
    assert ask(guarded, "GET", query).status == 400


def test_first_token_closes_the_server_at_once_and_its_end_opens_it(make_server):
    server = make_server().start()
    assert server.call("GET", "/v1/jobs").status == 200
    made = server.call("POST", "/v1/tokens", {"name": "ops", "scopes": ["admin"]}).json
    assert server.call("GET", "/v1/jobs").status == 401
    assert ask(server, "DELETE", f"/{made['id']}", token=made["token"]).status == 204
    assert server.call("GET", "/v1/jobs").status == 200


def test_tokens_and_their_uses_outlive_a_restart(make_server):
    server = make_server().start()
    made = server.call("POST", "/v1/tokens", {"name": "ops", "scopes": ["admin"]}).json
    text = made["token"]
    used = ask(server, "GET", f"/{made['id']}", token=text).json["last_used_at"]
    assert server.stop() == 0
    assert used in cli(server, "token", "show", "ops", "-o", "json"), "the stop writes it"
    server.start()
    assert server.call("GET", "/v1/jobs").status == 401
    again = ask(server, "GET", f"/{made['id']}", token=text)
    assert (again.status, again.json["name"]) == (200, "ops")
    assert again.json["last_used_at"] > used
    assert server.stop() == 0
    assert text not in server.log_file.read_text()
    assert text.encode() not in b"".join(file.read_bytes() for file in server.folder.iterdir())


def test_audit_log_tells_who_did_what_and_no_text(make_server):
    server = make_server()
    text = cli(server, "token", "create", "--name", "ops", "--scope", "admin").strip()
    server.start()
    made = ask(server, "POST", body={"name": "ci", "scopes": ["read"], "contexts": ["shop"]}, token=text).json
    rotated = ask(server, "POST", f"/{made['id']}/rotate", token=text).json
    ask(server, "DELETE", f"/{made['id']}", token=text)
    ask(server, "DELETE", "/99", token=text)
    answer = server.call("GET", "/v1/audit", headers=bearer(text))
    acts = [(act["who"], act["action"], act["target"]) for act in answer.json["items"]]
    assert acts == [
        ("ops", "revokeToken", "/v1/tokens/2"),
        ("ops", "rotateToken", "/v1/tokens/2"),
        ("ops", "createToken", "/v1/tokens/2"),
        ("command line", "createToken", "/v1/tokens/1"),
    ]
    assert {act["details"] for act in answer.json["items"][:3]} == {
        '{"name":"ci","scopes":["read"],"contexts":["shop"]}'
    }
    for secret in (text, made["token"], rotated["token"]):
        assert secret.encode() not in answer.body
        assert secret not in server.log


def test_last_admin_of_a_server_that_others_can_reach_stays(make_server):
    server = make_server("--host", "0.0.0.0")
    text = cli(server, "token", "create", "--name", "ops", "--scope", "admin").strip()
    server.start_unread()
    (made,) = ask(server, "GET", token=text).json["items"]
    answer = ask(server, "DELETE", f"/{made['id']}", token=text)
    assert answer.status == 409
    assert "last token with scope admin" in answer.json["detail"]
    assert works(server, text)
    second = ask(server, "POST", body={"name": "ops2", "scopes": ["admin"]}, token=text).json
    assert ask(server, "DELETE", f"/{made['id']}", token=second["token"]).status == 204
    assert not works(server, text)
    assert server.stop() == 0


@pytest.mark.parametrize("unfit", ["Qhort", "Q long enough but with blanks"])
def test_unfit_admin_token_of_the_settings_stops_the_start_with_one_line(make_server, unfit):
    server = make_server(environ={"QUEUE_SERVER_ADMIN_TOKEN": unfit})
    server.launch()
    assert server.ended() == 2
    assert re.fullmatch(r"error: admin_token must [^\n]+\n", server.log)
    assert unfit not in server.log


def cli(server: Server, *arguments: str) -> str:
    """What a command prints that works on the database of a server that does not run."""
    assert PROGRAM[0] == sys.executable
    done = subprocess.run(
        (*PROGRAM, *arguments, "--db", f"sqlite:///{server.db}"),
        capture_output=True,
        cwd=server.folder,
        env=server.environment(),
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()
