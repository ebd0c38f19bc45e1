"""Secrets in jobs: taken out before the job is stored, kept when it is changed, and never sent elsewhere."""

import json
from typing import Any

import msgspec
import pytest

from queue_server.domain.command import Command, ExecCommand, HttpCommand
from queue_server.domain.composing import Defaults, compose_plan, fingerprint
from queue_server.domain.errors import InvalidJob
from queue_server.domain.hiding import SECRETS_LIMIT, changed, holds_secrets, masked
from queue_server.domain.job import JobRequest, Plan, encode_plan
from queue_server.domain.lifecycle import Moment, decide
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.domain.placeholders import fill_exec, fill_http
from queue_server.domain.reading import read_request
from queue_server.domain.revising import read_patch
from queue_server.domain.secret import MASK, Secret
from queue_server.domain.state import State
from queue_server.domain.wishes import Refusal, Revision, retry, revise
from tests.builders.jobs import NOW, job, record

CANARY = "swordfish"
URL = "http://example.com/work"
HIDDEN = {"secret": CANARY}
KEPT = {"secret_ref": "api", "prefix": "Bearer "}

PLACES: dict[str, dict[str, Any]] = {
    "/url": {"type": "http", "url": f"http://ann:{CANARY}@example.com/work"},
    "/headers/X-Key": {"type": "http", "url": URL, "headers": {"A": "b", "X-Key": HIDDEN}},
    "/params/key": {"type": "http", "url": URL, "params": {"a": 1, "key": HIDDEN}},
    "/params/deep/1/a~1b": {"type": "http", "url": URL, "params": {"deep": [0, {"a/b": HIDDEN}]}},
    "/body": {"type": "http", "url": URL, "body": HIDDEN},
    "/env/KEY": {"type": "exec", "cmd": "true", "env": {"A": "b", "KEY": HIDDEN}},
    "/stdin": {"type": "exec", "args": ["true"], "stdin": HIDDEN},
}


class Sealer:
    """Seals so that a test can see it."""

    def seal(self, text: str, place: str) -> str:
        return f"sealed:{place}:{text[::-1]}"

    def open(self, sealed: str, place: str) -> str:
        return sealed.removeprefix(f"sealed:{place}:")[::-1]

    def knows(self, name: str) -> bool:
        return name == "api"


DEFAULTS = Defaults(sealer=Sealer())


def request(command: Any, **members: Any) -> JobRequest:
    return read_request(json.dumps({"command": command, **members}).encode())


def plan_of(command: Any, **members: Any) -> Plan:
    return compose_plan(request(command, **members), DEFAULTS, NOW)


def problems(call, *arguments) -> dict[str, str]:
    with pytest.raises(InvalidJob) as caught:
        call(*arguments)
    assert CANARY not in str(caught.value)
    return {problem.path: problem.message for problem in caught.value.problems}


def opened(command: Any, text: str) -> Any:
    return changed(command, lambda _place, _secret: text)


@pytest.mark.parametrize("place", PLACES)
def test_secret_of_each_place_is_sealed_and_shown_as_a_mask(place):
    plan = plan_of(PLACES[place])
    text = CANARY if place != "/url" else f"ann:{CANARY}"
    assert plan.secrets == {f"/command{place}": f"sealed:{place}:{text[::-1]}"}
    assert CANARY not in encode_plan(plan).decode()
    assert MASK in encode_plan(plan).decode()


@pytest.mark.parametrize("place", PLACES)
def test_secret_of_each_place_comes_back(place):
    given = request(PLACES[place]).command
    text = CANARY if place != "/url" else f"ann:{CANARY}"
    assert opened(masked(given), text) == opened(given, text)
    assert CANARY in msgspec.json.encode(opened(masked(given), text)).decode()
    assert not holds_secrets(opened(masked(given), text)) or place == "/url"


@pytest.mark.parametrize("place", PLACES)
def test_secret_shows_in_no_traceback(place):
    given = request(PLACES[place])
    assert CANARY not in repr(given)
    assert CANARY not in repr(opened(given.command, CANARY))
    assert CANARY not in repr(Secret(CANARY))
    assert CANARY not in f"{given} {given.command!r}"


@pytest.mark.parametrize(
    "command",
    [
        {"type": "http", "url": URL, "headers": {"A": "b"}, "params": {"a": [{"b": 1}]}},
        {"type": "http", "url": "http://example.com/ann@example.org?a=@"},
        {"type": "exec", "cmd": "true", "env": {"A": "b"}},
    ],
)
def test_job_without_secrets_is_stored_as_it_is(command):
    given = request(command)
    assert not holds_secrets(given.command)
    plan = compose_plan(given, DEFAULTS, NOW)
    assert plan.command is given.command
    assert plan.secrets is None


def test_params_that_happen_to_be_called_so_are_no_secrets():
    for params in ({"secret": "x"}, {"secret_ref": "x"}, {"a": {"secret": "x", "id": 1}}, {"a": [{"prefix": "x"}]}):
        assert not holds_secrets(request({"type": "http", "url": URL, "params": params}).command)


def test_secrets_of_callbacks_go_with_them():
    callback = {"type": "http", "url": URL, "headers": {"X": HIDDEN}}
    plan = plan_of(PLACES["/body"], callback_done=callback, callback_failed=PLACES["/stdin"])
    assert set(plan.secrets or {}) == {"/command/body", "/callback_done/headers/X", "/callback_failed/stdin"}
    for kind, place in ((OutcomeKind.SUCCEEDED, "/headers/X"), (OutcomeKind.FAILED, "/stdin")):
        (row,) = decide(job(plan=plan), Outcome(kind), Moment(NOW, NOW)).callbacks
        assert msgspec.json.decode(row.payload, type=Plan).secrets == {
            f"/command{place}": f"sealed:{place}:{CANARY[::-1]}"
        }


def test_kept_secret_stays_a_name():
    plan = plan_of({"type": "http", "url": URL, "headers": {"A": KEPT}, "params": {"b": {"secret_ref": "api"}}})
    assert plan.secrets == {"/command/headers/A": "", "/command/params/b": ""}
    assert plan.command == HttpCommand(
        url=URL, headers={"A": Secret(None, "api", "Bearer ")}, params={"b": {"secret_ref": "api"}}
    )


WRONG = {
    "/command/headers/A": {"headers": {"A": {"secret": "a\nb"}}},
    "/command/headers/B": {"headers": {"B": {"secret": "a", "secret_ref": "api"}}},
    "/command/headers/C": {"headers": {"C": {}}},
    "/command/headers/D": {"headers": {"D": {"secret": "a", "prefix": "b"}}},
    "/command/headers/E/secret": {"headers": {"E": {"secret": 5}}},
    "/command/headers/F/secret_ref": {"headers": {"F": {"secret_ref": "a b"}}},
    "/command/headers/G/sealed": {"headers": {"G": {"sealed": "1.a.b"}}},
    "/command/headers/H": {"headers": {"H": {"secret_ref": "api", "prefix": "\n"}}},
    "/command/body/secret": {"body": {"secret": ["x"]}},
    "/command/body": {"body": {"secret_ref": "api", "secret": "x"}},
    "/command/params/a": {"params": {"a": {"secret": 5}}},
    "/command/params/b/0/c": {"params": {"b": [{"c": {"secret_ref": "a b"}}]}},
    "/command/env/A": {"env": {"A": {"secret": "a\0b"}}},
    "/command/stdin/prefix": {"stdin": {"secret_ref": "api", "prefix": 1}},
}


@pytest.mark.parametrize("path", WRONG)
def test_secret_that_is_wrong_is_named(path):
    is_exec = path.startswith(("/command/env", "/command/stdin"))
    command = {"type": "exec", "cmd": "true"} if is_exec else {"type": "http", "url": URL}
    assert set(problems(request, {**command, **WRONG[path]})) == {path}


def test_secret_that_nobody_keeps_is_refused():
    found = problems(plan_of, {"type": "http", "url": URL, "headers": {"A": {"secret_ref": "other"}}})
    assert found == {"/command/headers/A": "there is no secret 'other'"}


def test_more_secrets_than_can_be_sealed_at_once_are_refused():
    headers = {f"h{number}": HIDDEN for number in range(SECRETS_LIMIT)}
    command = {"type": "http", "url": URL, "headers": headers}
    assert len(plan_of(command).secrets or {}) == SECRETS_LIMIT
    found = problems(plan_of, {**command, "body": HIDDEN})
    assert found == {"/command/body": "is one secret too many; a job may have 256"}


@pytest.mark.parametrize("place", PLACES)
def test_mask_is_no_secret_of_a_new_job(place):
    hidden = json.loads(json.dumps(PLACES[place]).replace(f"ann:{CANARY}", MASK).replace(CANARY, MASK))
    assert problems(plan_of, hidden) == {f"/command{place}": "*** is only shown for a secret; send the secret itself"}


# Jobs that are changed.


def amended(wish: Any, plan: Plan, patch: Any) -> Plan:
    state = State.FAILED if wish is retry else State.SCHEDULED
    answer = wish(record(state, plan=plan), read_patch(json.dumps(patch).encode()), DEFAULTS, NOW)
    assert not isinstance(answer, Refusal), answer
    assert isinstance(answer, Revision)
    return answer.plan


@pytest.mark.parametrize("wish", [retry, revise])
@pytest.mark.parametrize("place", PLACES)
def test_change_of_something_else_keeps_the_secret(place, wish):
    plan = plan_of(PLACES[place])
    now = amended(wish, plan, {"priority": 900, "command": {"timeout": 5}})
    assert now.secrets == plan.secrets
    shown = json.loads(msgspec.json.encode(plan.command))
    assert amended(wish, plan, {"command": shown}).secrets == plan.secrets


@pytest.mark.parametrize("place", PLACES)
def test_secret_can_be_replaced_and_removed(place):
    plan = plan_of(PLACES[place])
    other = json.loads(json.dumps(PLACES[place]).replace(CANARY, "haddock"))
    now = amended(revise, plan, {"command": other})
    assert set(now.secrets or {}) == set(plan.secrets or {})
    assert now.secrets != plan.secrets
    assert amended(revise, now, {"command": {"type": "http", "url": URL, **GONE}}).secrets is None


GONE = dict.fromkeys(("headers", "params", "body", "env", "stdin", "cmd", "args"))

THEFTS = {
    "host": ("/headers/X-Key", {"url": "http://evil.example/work"}),
    "port": ("/body", {"url": "http://example.com:81/work"}),
    "scheme": ("/params/key", {"url": "https://example.com/work"}),
    "user info": ("/url", {"url": f"http://{MASK}@evil.example/"}),
    "line": ("/env/KEY", {"cmd": "env"}),
    "program": ("/stdin", {"args": ["cat"]}),
    "folder": ("/stdin", {"cwd": "/tmp"}),
    "input": ("/env/KEY", {"stdin": "env"}),
    "hidden input": ("/env/KEY", {"stdin": {"secret": "env"}}),
    "variable": ("/env/KEY", {"env": {"A_NEW_ONE": "/tmp/evil.so"}}),
    "hidden variable": ("/env/KEY", {"env": {"A_NEW_ONE": {"secret": "/tmp/evil.so"}}}),
}


@pytest.mark.parametrize("wish", [retry, revise])
@pytest.mark.parametrize("theft", THEFTS)
def test_secret_does_not_go_elsewhere_with_a_change(theft, wish):
    place, patch = THEFTS[theft]
    found = problems(amended, wish, plan_of(PLACES[place]), {"command": patch})
    assert found == {f"/command{place}": "must be sent anew, as the command does something else now"}


def test_one_kind_of_secret_replaces_the_other():
    plan = plan_of(PLACES["/headers/X-Key"])
    kept = amended(revise, plan, {"command": {"headers": {"X-Key": {"secret_ref": "api"}}}})
    assert kept.secrets == {"/command/headers/X-Key": ""}
    assert amended(revise, kept, {"command": {"headers": {"X-Key": HIDDEN}}}).secrets == plan.secrets


def test_secret_does_not_move_to_another_place():
    plan = plan_of(PLACES["/headers/X-Key"])
    found = problems(amended, revise, plan, {"command": {"headers": {"Other": {"secret": MASK}}}})
    assert set(found) == {"/command/headers/Other"}
    found = problems(
        amended, revise, plan, {"callback_done": {**PLACES["/headers/X-Key"], "headers": {"X-Key": {"secret": MASK}}}}
    )
    assert set(found) == {"/callback_done/headers/X-Key"}


# What else knows of commands.


def test_placeholders_leave_secrets_alone():
    values = {"__JOBID__": "7"}
    http = HttpCommand(
        url=URL,
        headers={"A": Secret("x__JOBID__"), "B": "__JOBID__"},
        params={"a": {"secret": "__JOBID__"}},
        body=Secret("__JOBID__"),
    )
    assert fill_http(http, values) == msgspec.structs.replace(http, headers={"A": Secret("x__JOBID__"), "B": "7"})
    commands = ExecCommand(cmd="true", env={"A": Secret("__JOBID__"), "B": "__JOBID__"}, stdin=Secret("__JOBID__"))
    assert fill_exec(commands, values) == msgspec.structs.replace(commands, env={"A": Secret("__JOBID__"), "B": "7"})


@pytest.mark.parametrize("place", PLACES)
def test_fingerprint_tells_nothing_of_a_secret(place):
    other: Command = json.loads(json.dumps(PLACES[place]).replace(CANARY, "haddock"))
    assert fingerprint(request(PLACES[place])) == fingerprint(request(other))
    assert fingerprint(request(PLACES[place])) != fingerprint(request({"type": "http", "url": URL}))
