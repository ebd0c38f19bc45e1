"""Every member of a job that is of a wrong type or value is named, with what belongs there."""

import pytest

from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.errors import PROBLEMS_LIMIT, InvalidJob
from queue_server.domain.job import JobRequest
from queue_server.domain.reading import LOOKED_AT, read_request
from queue_server.domain.retry import RetryWish
from tests.builders.bodies import EXEC, HTTP, http, job, problems, raw
from tests.builders.strategies import body

NOT_A_COMMAND = "must be an object with a type, http or exec"
QUEUE_NAME = "must be 1 to 128 of letters, digits and the characters . _ : -"
SHORT_TEXT = "must be a text of 1 to 255 characters without control characters"
DEADLINE = "must be seconds, or an RFC 3339 time such as 2026-11-24T09:30:00Z"
CODES = 'must be statuses or exit codes such as "429,500-599", or a list of them'
WRONG = {
    '"priority":-1': "must be a whole number from 0 to 1000",
    '"priority":1001': "must be a whole number from 0 to 1000",
    '"priority":null': "must be a whole number from 0 to 1000",
    '"priority":"5"': "must be a whole number from 0 to 1000",
    '"priority":1.5': "must be a whole number from 0 to 1000",
    f'"priority":{"9" * 5000}': "must be a whole number from 0 to 1000",
    '"context":5': "must be a text of at most 255 characters without control characters",
    '"context":null': "must be a text of at most 255 characters without control characters",
    f'"context":"{"x" * 256}"': "must be a text of at most 255 characters without control characters",
    '"context":"a\\u0000"': "must be a text of at most 255 characters without control characters",
    '"context":"a\\n"': "must be a text of at most 255 characters without control characters",
    '"callback_done":5': NOT_A_COMMAND,
    '"callback_failed":[]': NOT_A_COMMAND,
    '"delay":-0.1': "must be seconds, from 0 to 31622400 (a year)",
    '"delay":31622401': "must be seconds, from 0 to 31622400 (a year)",
    '"delay":1e999': "must be seconds, from 0 to 31622400 (a year)",
    '"delay":true': "must be seconds, from 0 to 31622400 (a year)",
    '"run_at":5': "must be an RFC 3339 time such as 2026-11-24T09:30:00Z",
    f'"run_at":"{"2" * 65}"': "must be an RFC 3339 time such as 2026-11-24T09:30:00Z",
    '"run_at":"tomorrow"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"run_at":"2026-11-24T09:30:00"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"run_at":"9999-12-31T23:59:59-14:00"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"retry":5': "must be an object",
    '"queue":""': QUEUE_NAME,
    '"queue":null': QUEUE_NAME,
    '"queue":5': QUEUE_NAME,
    '"queue":"a b"': QUEUE_NAME,
    '"queue":"ü"': QUEUE_NAME,
    '"queue":"a\\n"': QUEUE_NAME,
    f'"queue":"{"x" * 129}"': QUEUE_NAME,
    '"key":""': SHORT_TEXT,
    '"key":5': SHORT_TEXT,
    '"key":"a\\u0000"': SHORT_TEXT,
    f'"key":"{"x" * 256}"': SHORT_TEXT,
    '"ttl":-1': "must be seconds, from 0 to 31622400 (a year)",
    '"ttl":31622401': "must be seconds, from 0 to 31622400 (a year)",
    '"ttl":"5"': "must be seconds, from 0 to 31622400 (a year)",
    '"expires_at":5': "must be an RFC 3339 time such as 2026-11-24T09:30:00Z",
    '"expires_at":"tomorrow"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"expires_at":"2026-11-24T09:30:00"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"deadline":-1': "must be seconds from 0 to 31622400 (a year), or a time",
    '"deadline":31622401': "must be seconds from 0 to 31622400 (a year), or a time",
    '"deadline":"tomorrow"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"deadline":"9999-12-31T23:59:59-14:00"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"deadline":true': DEADLINE,
    '"deadline":1e999': DEADLINE,
    '"deadline":[]': DEADLINE,
    '"retention":-1': "must be seconds, from 0 to 316224000 (ten years)",
    '"retention":316224001': "must be seconds, from 0 to 316224000 (ten years)",
    '"retention":"5"': "must be seconds, from 0 to 316224000 (ten years)",
    '"tags":[]': "must be an object of at most 32 texts",
    '"tags":"a=b"': "must be an object of at most 32 texts",
    '"idempotency_key":""': SHORT_TEXT,
    '"idempotency_key":5': SHORT_TEXT,
    '"idempotency_key":"a\\n"': SHORT_TEXT,
    f'"idempotency_key":"{"x" * 256}"': SHORT_TEXT,
}
WRONG_IN_HTTP = {
    '"url":""': "must be a text of 1 to 8192 characters",
    '"url":5': "must be a text of 1 to 8192 characters",
    f'"url":"{"x" * 8193}"': "must be a text of 1 to 8192 characters",
    '"method":"GETS"': "'GETS' is not one of the allowed values: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    '"method":5': "must be a text, not a whole number",
    '"timeout":0': "must be seconds, more than 0 and at most 604800 (7 days)",
    '"timeout":604801': "must be seconds, more than 0 and at most 604800 (7 days)",
    '"timeout":"5"': "must be seconds, more than 0 and at most 604800 (7 days)",
    '"params":[]': "must be an object, not a list",
    '"params":"a=b"': "must be an object, not a text",
    f'"params":{{"a":{"9" * 5000}}}': "Integer value out of range",
    '"params":{"a":1e999}': "Number out of range",
    '"headers":[]': "must be an object, not a list",
    '"body":5': "must be a text, not a whole number",
    '"body_base64":{}': "must be a text, not an object",
    '"expect":1.5': "must be a whole number or a text, not a number",
    '"expect":true': "must be a whole number or a text, not true or false",
    '"expect":[]': "must be a whole number or a text, not a list",
}
WRONG_IN_EXEC = {
    '"cmd":""': "must be a text that is not empty",
    '"args":[]': "must be a list of 1 to 10000 texts",
    '"args":"a b"': "must be a list of 1 to 10000 texts",
    '"args":[1]': "must be a list of 1 to 10000 texts",
    '"cwd":""': "must be a text that is not empty",
    '"env":[]': "must be an object, not a list",
    '"stdin":5': "must be a text, not a whole number",
    '"timeout":-1': "must be seconds, more than 0 and at most 604800 (7 days)",
    '"expect":{}': "must be a whole number or a text, not an object",
    '"name":"a b"': "must be 1 to 64 of letters, digits and the characters . _ -",
    '"arguments":[]': "must be an object, not a list",
}
WRONG_IN_RETRY = {
    '"max_attempts":0': "must be a whole number from 1 to 1000",
    '"max_attempts":1001': "must be a whole number from 1 to 1000",
    '"max_attempts":null': "must be a whole number from 1 to 1000",
    '"backoff":"quadratic"': "'quadratic' is not one of the allowed values: none, fixed, linear, exponential",
    '"min_delay":-1': "must be seconds, from 0 to 31622400 (a year)",
    '"max_delay":1e999': "must be seconds, from 0 to 31622400 (a year)",
    '"jitter":1.1': "must be a number from 0 to 1",
    '"retry_on":true': CODES,
    '"retry_on":1.5': CODES,
    '"retry_on":{}': CODES,
    '"retry_on":[[429]]': CODES,
    '"retry_on":[true]': CODES,
    '"retry_on":""': "must be codes and ranges such as 200-299,404",
    '"retry_on":[]': "must be codes and ranges such as 200-299,404",
    '"retry_on":"5xx"': "must be codes and ranges such as 200-299,404",
    '"retry_on":600': "must name codes from 100 to 599, such as 200-299,404",
    '"retry_on":[429,"0-5"]': "must name codes from 100 to 599, such as 200-299,404",
    '"max_duration":-1': "must be seconds, from 0 to 31622400 (a year)",
    '"max_duration":"5"': "must be seconds, from 0 to 31622400 (a year)",
}


def _name(member: str) -> str:
    return member.partition('":')[0].strip('"')


@pytest.mark.parametrize("member", WRONG)
def test_member_of_the_job_that_is_wrong_is_named(member):
    assert problems(raw(member)) == {f"/{_name(member)}": WRONG[member]}


@pytest.mark.parametrize("member", WRONG_IN_HTTP)
def test_member_of_an_http_command_that_is_wrong_is_named(member):
    others = "" if _name(member) == "url" else '"url":"http://example.com/",'
    command = f'{{"type":"http",{others}{member}}}'
    assert problems(f'{{"command":{command}}}'.encode()) == {f"/command/{_name(member)}": WRONG_IN_HTTP[member]}
    assert problems(raw(f'"callback_done":{command}')) == {f"/callback_done/{_name(member)}": WRONG_IN_HTTP[member]}


@pytest.mark.parametrize("member", WRONG_IN_EXEC)
def test_member_of_an_exec_command_that_is_wrong_is_named(member):
    others = "" if _name(member) in {"cmd", "args", "name"} else '"cmd":"true",'
    command = f'{{"type":"exec",{others}{member}}}'
    assert problems(f'{{"command":{command}}}'.encode()) == {f"/command/{_name(member)}": WRONG_IN_EXEC[member]}
    path = f"/callback_failed/{_name(member)}"
    assert problems(raw(f'"callback_failed":{command}')) == {path: WRONG_IN_EXEC[member]}


@pytest.mark.parametrize("member", WRONG_IN_RETRY)
def test_member_of_retry_that_is_wrong_is_named(member):
    assert problems(raw(f'"retry":{{{member}}}')) == {f"/retry/{_name(member)}": WRONG_IN_RETRY[member]}


def test_every_member_has_an_example_of_a_wrong_value():
    """So that a new member can't be forgotten here. `json` takes any value."""
    members = lambda struct: set(struct.__struct_fields__)  # noqa: E731
    assert {_name(member) for member in WRONG} == members(JobRequest) - {"command"}
    assert {_name(member) for member in WRONG_IN_HTTP} == members(HttpCommand) - {"json"}
    assert {_name(member) for member in WRONG_IN_EXEC} == members(ExecCommand)
    assert {_name(member) for member in WRONG_IN_RETRY} == members(RetryWish)


@pytest.mark.parametrize("value", [5, "text", [], None, True])
def test_command_that_is_no_object_is_refused(value):
    assert problems(body({"command": value})) == {"/command": NOT_A_COMMAND}


def test_missing_members_are_named():
    assert problems(b"{}") == {"/command": "is required"}
    assert problems(body({"command": {}})) == {"/command/type": "is required: http or exec"}
    assert problems(body({"command": {"type": "http"}})) == {"/command/url": "is required"}
    expected = "needs one of cmd (run by the shell), args (run without one) and name (of the settings)"
    assert problems(body({"command": {"type": "exec"}})) == {"/command": expected}


@pytest.mark.parametrize("type_", ["ftp", "", " http ", "HTTP", "http\\u0000", 5, None, ["http"], {}])
def test_type_that_is_not_known_is_named(type_):
    assert problems(body({"command": HTTP | {"type": type_}})) == {"/command/type": 'must be "http" or "exec"'}


def test_type_may_be_written_with_escapes():
    text = b'{"command":{"type":"\\u0068ttp","url":"http://example.com/"},"priority":%s}'
    assert read_request(text % b"1").priority == 1
    assert set(problems(text % b"-1")) == {"/priority"}


@pytest.mark.parametrize("name", ["unknown", "Priority", "priority ", "", "a/b~c", "ü", "\0", "json"])
def test_unknown_member_is_named_at_each_level(name):
    escaped = name.replace("~", "~0").replace("/", "~1")
    assert set(problems(job(**{name: 1}))) == {f"/{escaped}"}
    assert set(problems(job(retry={name: 1}))) == {f"/retry/{escaped}"}
    assert set(problems(body({"command": EXEC | {name: 1}}))) == {f"/command/{escaped}"}
    assert set(problems(job(callback_done=EXEC | {name: 1}))) == {f"/callback_done/{escaped}"}
    if name != "json":
        assert set(problems(http(**{name: 1}))) == {f"/command/{escaped}"}


def test_unknown_member_is_told_which_are_known():
    message = problems(job(retry={"tries": 5}))["/retry/tries"]
    known = "max_attempts, backoff, min_delay, max_delay, jitter, retry_on, max_duration"
    assert message == f"is not a known member; known are {known}"


def test_text_of_a_map_that_is_wrong_is_named_by_its_key():
    found = problems(http(headers={"A": 5, "B/C": None, "D": "good"}))
    assert found == {
        "/command/headers/A": "must be a text, not a whole number",
        "/command/headers/B~1C": "must be a text, not null",
    }
    found = problems(body({"command": EXEC | {"env": {"A": [], "B=": "x"}}}))
    assert found == {
        "/command/env/A": "must be a text, not a list",
        "/command/env/B=": "is not a name of an environment variable",
    }


@pytest.mark.parametrize("expects", ["256", 256, ["0", 300], "0-256"])
def test_codes_of_a_command_are_exit_codes(expects):
    message = "must name codes from 0 to 255, such as 0,2-4"
    assert problems(body({"command": EXEC, "retry": {"retry_on": expects}})) == {"/retry/retry_on": message}
    assert read_request(body({"command": EXEC, "retry": {"retry_on": [0, "1-255"]}})).retry.retry_on == [0, "1-255"]
    found = problems(body({"command": EXEC, "priority": -1, "retry": {"retry_on": "429"}}))
    assert found == {"/priority": WRONG['"priority":-1'], "/retry/retry_on": message}


def test_tag_that_is_wrong_is_named():
    value = "must be a text of at most 255 characters without control characters"
    name = "is not a tag's name: 1 to 64 of letters, digits and the characters . _ : -"
    tags = {
        "": "x",
        "a b": "x",
        "ü": "x",
        "n" * 65: "x",
        "a/~": 5,
        "c": None,
        "d": "\n",
        "e": "x" * 256,
        "good": "x" * 255,
    }
    found = {
        "/tags/": name,
        "/tags/a b": name,
        "/tags/ü": name,
        f"/tags/{'n' * 65}": name,
        "/tags/a~1~0": "must be a text, not a whole number",
        "/tags/c": "must be a text, not null",
        "/tags/d": value,
        "/tags/e": value,
    }
    assert problems(job(tags=tags)) == found
    del tags["a/~"], tags["c"], found["/tags/a~1~0"], found["/tags/c"]
    assert problems(job(tags=tags)) == found


def test_tags_are_as_many_as_may_be():
    tags = {f"{n}": "x" for n in range(32)}
    assert read_request(job(tags=tags)).tags == tags
    assert problems(job(tags=tags | {"more": "x"})) == {"/tags": "must be an object of at most 32 texts"}
    assert set(problems(job(tags=tags | {"more": 5}))) == {"/tags", "/tags/more"}


def test_limit_is_given_once():
    both = {"ttl": 5, "expires_at": "2026-11-24T09:30:00Z", "delay": 5, "run_at": "2026-11-24T09:30:00Z"}
    expected = {"/run_at": "give delay or run_at, not both", "/expires_at": "give ttl or expires_at, not both"}
    assert problems(job(**both)) == expected
    assert problems(job(**both, priority=-1)) == expected | {"/priority": WRONG['"priority":-1']}


def test_every_error_is_found_at_once():
    found = problems(
        b'{"command":{"type":"http","url":"ftp://x","timeout":0,"headers":{"Bad Header":"a","Good":5},"nope":1,'
        b'"json":{},"body":"x","expect":"9-1","body_base64":"?"},'
        b'"callback_done":{"type":"exec","cmd":"x","args":["y"],"cwd":"relative","env":{"A":5}},'
        b'"callback_failed":{"type":"smtp"},"priority":1e9,"context":[],"delay":-1,"run_at":"soon",'
        b'"retry":{"max_attempts":0,"min_delay":9,"max_delay":1,"jitter":2,"retry_on":"9-1","max_duration":-1},"other":0,'
        b'"queue":"","key":"","ttl":-1,"expires_at":"soon","deadline":"soon","retention":-1,"tags":{"a":5,"b b":"x"},'
        b'"idempotency_key":5}'
    )
    assert set(found) == {
        "/command/url",
        "/command/timeout",
        "/command/headers/Bad Header",
        "/command/headers/Good",
        "/command/nope",
        "/command/expect",
        "/command/body_base64",
        "/callback_done/cwd",
        "/callback_done/env/A",
        "/callback_failed/type",
        "/priority",
        "/context",
        "/delay",
        "/run_at",
        "/retry/max_attempts",
        "/retry/min_delay",
        "/retry/jitter",
        "/retry/retry_on",
        "/retry/max_duration",
        "/other",
        "/queue",
        "/key",
        "/ttl",
        "/expires_at",
        "/deadline",
        "/retention",
        "/tags/a",
        "/tags/b b",
        "/idempotency_key",
    }


def test_error_lists_its_problems_in_one_line():
    with pytest.raises(InvalidJob, match=r"\A/priority: must be .+; /delay: must be [^\n]+\Z"):
        read_request(job(priority=-1, delay=-1))
    with pytest.raises(InvalidJob, match=r"\A/: must be a JSON object\Z"):
        read_request(b"[]")


@pytest.mark.parametrize("wrong", ["headers", "tags"])
def test_mistakes_are_looked_for_in_so_many_texts_only(wrong):
    """An object of a hundred thousand wrong texts held the event loop for more than a second."""
    texts = {f"x{number}": 1 for number in range(100_000)}
    body_ = job(tags=texts) if wrong == "tags" else job(command={**HTTP, "headers": texts})
    with pytest.raises(InvalidJob) as caught:
        read_request(body_)
    assert len(caught.value.problems) <= PROBLEMS_LIMIT + 1
    assert (
        caught.value.problems[-1].message
        == f"{LOOKED_AT + (wrong == 'tags') - PROBLEMS_LIMIT} more problems are not listed"
    )


def test_type_belongs_to_commands_only():
    assert set(problems(job(retry={"type": "http"}))) == {"/retry/type"}
    secret = {"secret": "swordfish", "type": "text"}
    assert set(problems(job(command={**HTTP, "headers": {"A": secret}}))) == {"/command/headers/A/type"}
