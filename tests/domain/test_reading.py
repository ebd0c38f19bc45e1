import re

import msgspec
import pytest
from hypothesis import strategies as st

from queue_server.domain.command import ExecCommand, HttpCommand, Unreadable
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.job import JobRequest, Plan, decode_plan, encode_plan
from queue_server.domain.placeholders import fill_http
from queue_server.domain.reading import read_request
from queue_server.domain.retry import RetryWish
from tests.builders.properties import for_all
from tests.builders.strategies import anything, body, valid_requests

HTTP = {"type": "http", "url": "http://example.com/"}
EXEC = {"type": "exec", "cmd": "true"}
POINTER = re.compile(r"\A(/([^~/]|~[01])*)*\Z")
"""RFC 6901 section 3."""


def problems(text: bytes) -> dict[str, str]:
    """What is wrong with a body: message by path."""
    with pytest.raises(InvalidJob) as caught:
        read_request(text)
    assert caught.value.problems
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert all(POINTER.match(path) for path in found)
    assert all(found.values())
    return found


def job(**members: object) -> bytes:
    """A job with a good command and these members, as JSON."""
    return body({"command": HTTP} | members)


def http(**members: object) -> bytes:
    """A job whose http command has these members, as JSON."""
    return body({"command": HTTP | members})


def raw(member: str) -> bytes:
    """A good job's JSON with a member written by hand at its end."""
    return b'{"command":{"type":"http","url":"http://example.com/"},%s}' % member.encode()


def raw_http(member: str) -> bytes:
    """The same, with the member in the command."""
    return b'{"command":{"type":"http","url":"http://example.com/",%s}}' % member.encode()


# Good jobs.


def test_smallest_job_is_a_command():
    assert read_request(b'{"command":{"type":"http","url":"http://example.com/"}}') == JobRequest(
        command=HttpCommand(url="http://example.com/")
    )


def test_full_job_is_read_with_all_its_members():
    request = read_request(
        body(
            {
                "priority": 800,
                "context": "MyCoolApp",
                "command": HTTP | {"method": "PUT", "timeout": 20, "json": {"any": "value"}, "expect": "200-299"},
                "callback_done": HTTP,
                "callback_failed": {"type": "exec", "args": ["page", "__JOBID__"]},
                "delay": 1.5,
                "retry": {"max_attempts": 5, "backoff": "linear"},
            }
        )
    )
    assert (request.priority, request.context, request.delay) == (800, "MyCoolApp", 1.5)
    assert isinstance(request.command, HttpCommand)
    assert request.command.timeout == 20
    assert bytes(request.command.json) == b'{"any": "value"}'
    assert request.callback_failed == ExecCommand(args=["page", "__JOBID__"])
    assert request.retry == RetryWish(max_attempts=5, backoff="linear")


def test_null_stands_for_an_absent_member_where_absence_means_something():
    nothing = dict.fromkeys(["callback_done", "callback_failed", "delay", "run_at", "retry"])
    assert read_request(job(**nothing)) == read_request(job())


def test_byte_order_mark_is_no_mistake():
    assert read_request(b"\xef\xbb\xbf" + job()) == read_request(job())


def test_second_of_two_equal_members_counts():
    assert read_request(raw('"priority":1,"priority":2')).priority == 2


def test_number_that_no_float_holds_stays_as_it_is_in_json():
    text = "[" + "9" * 5000 + ",1e999,-0.0,12345678901234567890123]"
    request = read_request(raw_http(f'"json":{text}'))
    assert isinstance(request.command, HttpCommand)
    assert bytes(request.command.json).decode() == text


@for_all(valid_requests)
def test_good_job_is_read_and_its_plan_comes_back_from_the_store(value):
    request = read_request(body(value))
    plan = Plan(request.command, request.callback_done, request.callback_failed, request.retry)
    again = decode_plan(encode_plan(plan))
    assert encode_plan(again) == encode_plan(plan)
    for ours, theirs in ((again.command, plan.command), (again.callback_done, plan.callback_done)):
        assert _comparable(ours) == _comparable(theirs)
    assert again.retry == plan.retry


def _comparable(command):
    """Raw JSON is equal only to itself: compare its bytes."""
    if isinstance(command, HttpCommand) and command.json is not msgspec.UNSET:
        return bytes(command.json), msgspec.structs.replace(command, json=msgspec.UNSET)
    return command


def test_params_may_be_nested_as_deep_as_can_be_walked():
    """Deeper ones were once accepted, and failed when the job ran."""
    deep = "[" * 99 + '"__JOBID__"' + "]" * 99
    request = read_request(raw_http(f'"params":{{"a":{deep}}}'))
    filled = fill_http(decode_plan(encode_plan(Plan(request.command))).command, {"__JOBID__": "7"})
    assert str(filled.params).strip("{}'a: []") == "7"
    for levels in (101, 300, 800):
        too_deep = "[" * levels + "]" * levels
        assert problems(raw_http(f'"params":{{"a":{too_deep}}}')) == {
            "/command/params": "must not be nested deeper than 100 levels"
        }


@pytest.mark.parametrize("payload", [b"", b"{}", b"nothing", b'{"command":{"type":"ftp"}}', b"\xff", b"[" * 100_000])
def test_plan_that_cannot_be_read_becomes_a_command_that_says_so(payload):
    command = decode_plan(payload).command
    assert isinstance(command, Unreadable)
    assert command.reason.startswith("the stored job can't be read by this version: ")


# Bodies that are no JSON.


@pytest.mark.parametrize("text", [b"", b"  \n", b"\xef\xbb\xbf"])
def test_empty_body_is_told_what_to_send(text):
    assert "send a JSON object such as" in problems(text)[""]


@pytest.mark.parametrize("text", [b"\xff", b'{"command":"\xed\xa0\x80"}', raw('"context":"x"').replace(b"x", b"\xc3")])
def test_body_that_is_not_utf8_is_told_where(text):
    assert re.fullmatch(r"the body is not valid UTF-8 \(byte \d+\)", problems(text)[""])


def test_json_member_that_is_not_utf8_is_refused():
    assert "not valid UTF-8" in problems(raw_http('"json":"x"').replace(b'"x"', b'"\xff"'))[""]


@pytest.mark.parametrize(
    "text", [b"{", b'{"a', b"[1", b'{"command":{"type":"http"', b'"\\', b'"\\u12', b'"\\ud83d\\ude00']
)
def test_truncated_body_ends_too_early(text):
    assert problems(text) == {"": "the JSON ends too early"}


@pytest.mark.parametrize("text", [b"priority=1", b"{]", b'{"a":1,}', b"{'a':1}", b"{} {}", b"[NaN]", b'"a\0b"', b"nul"])
def test_body_that_is_no_json_says_so(text):
    assert problems(text)[""].startswith(("the body is not JSON: ", "the JSON ends too early"))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_number_that_json_does_not_know_is_refused_wherever_it_stands(value):
    for text in (raw(f'"delay":{value}'), raw_http(f'"json":[{value}]'), raw_http(f'"params":{{"a":{value}}}')):
        assert problems(text)[""].startswith("the body is not JSON")


@pytest.mark.parametrize(
    "escape", ["\\ud800", "\\udfff", "\\ud83d\\ud83d", "\\uD83Dx", "\\udc00\\ud800", "\\\\\\udabc"]
)
def test_half_a_surrogate_pair_is_named(escape):
    expected = {"": "a text contains half a surrogate pair (\\ud800 to \\udfff), which is no character"}
    assert problems(raw(f'"context":"{escape}"')) == expected
    assert problems(raw_http(f'"json":"{escape}"')) == expected


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_deep_nesting_is_refused_wherever_it_stands(text):
    assert problems(text.encode()) == {"": "the JSON is nested too deeply"}
    assert problems(raw_http(f'"json":{text}')) == {"": "the JSON is nested too deeply"}
    assert problems(raw(f'"unknown":{text}')) == {"": "the JSON is nested too deeply"}


@pytest.mark.parametrize("text", [b"[]", b"5", b'"text"', b"null", b"true"])
def test_body_that_is_no_object_is_refused(text):
    assert problems(text) == {"": "must be a JSON object"}


# Members of wrong types and values.

NOT_A_COMMAND = "must be an object with a type, http or exec"
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
    f'"run_at":"{"2" * 65}"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"run_at":"tomorrow"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"run_at":"2026-11-24T09:30:00"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"run_at":"9999-12-31T23:59:59-14:00"': "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z",
    '"retry":5': "must be an object",
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
}
WRONG_IN_RETRY = {
    '"max_attempts":0': "must be a whole number from 1 to 1000",
    '"max_attempts":1001': "must be a whole number from 1 to 1000",
    '"max_attempts":null': "must be a whole number from 1 to 1000",
    '"backoff":"quadratic"': "'quadratic' is not one of the allowed values: none, fixed, linear, exponential",
    '"min_delay":-1': "must be seconds, from 0 to 31622400 (a year)",
    '"max_delay":1e999': "must be seconds, from 0 to 31622400 (a year)",
    '"jitter":1.1': "must be a number from 0 to 1",
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
    others = "" if _name(member) in {"cmd", "args"} else '"cmd":"true",'
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
    assert {_name(member) for member in WRONG_IN_RETRY} == members(Retry)


@pytest.mark.parametrize("value", [5, "text", [], None, True])
def test_command_that_is_no_object_is_refused(value):
    assert problems(body({"command": value})) == {"/command": NOT_A_COMMAND}


def test_missing_members_are_named():
    assert problems(b"{}") == {"/command": "is required"}
    assert problems(body({"command": {}})) == {"/command/type": "is required: http or exec"}
    assert problems(body({"command": {"type": "http"}})) == {"/command/url": "is required"}
    expected = "needs cmd (run by the shell) or args (run without one), not both"
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
    assert message == "is not a known member; known are max_attempts, backoff, min_delay, max_delay, jitter"


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


def test_every_error_is_found_at_once():
    found = problems(
        b'{"command":{"type":"http","url":"ftp://x","timeout":0,"headers":{"Bad Header":"a","Good":5},"nope":1,'
        b'"json":{},"body":"x","expect":"9-1","body_base64":"?"},'
        b'"callback_done":{"type":"exec","cmd":"x","args":["y"],"cwd":"relative","env":{"A":5}},'
        b'"callback_failed":{"type":"smtp"},"priority":1e9,"context":[],"delay":-1,"run_at":"soon",'
        b'"retry":{"max_attempts":0,"min_delay":9,"max_delay":1,"jitter":2},"other":0}'
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
        "/other",
    }


def test_error_lists_its_problems_in_one_line():
    with pytest.raises(InvalidJob, match=r"\A/priority: must be .+; /delay: must be [^\n]+\Z"):
        read_request(job(priority=-1, delay=-1))
    with pytest.raises(InvalidJob, match=r"\A/: must be a JSON object\Z"):
        read_request(b"[]")


# Anything at all.


@for_all(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), quick=150)
def test_any_bytes_are_read_or_have_problems(text):
    _read_or_explain(text)


@for_all(anything, quick=150)
def test_any_json_is_read_or_has_problems(value):
    _read_or_explain(body(value))


MEMBER_NAMES = st.sampled_from(
    [*JobRequest.__struct_fields__, *HttpCommand.__struct_fields__, *ExecCommand.__struct_fields__, "type", "x/~"]
)
NEAR_VALUES = (
    anything
    | st.sampled_from(["http", "exec", "http://a/", "http://a:0/", "200", "\ud800", "a\0", "/tmp", "exponential"])
    | st.sampled_from([HTTP, EXEC, {"max_attempts": 3}, 10**30, 1e308, "=", "2026-11-24T09:30:00Z"])
)
NEAR_OBJECTS = st.recursive(NEAR_VALUES, lambda inner: st.dictionaries(MEMBER_NAMES, inner, max_size=5), max_leaves=8)


@for_all(st.dictionaries(st.sampled_from(JobRequest.__struct_fields__) | MEMBER_NAMES, NEAR_OBJECTS), quick=50)
def test_any_object_that_resembles_a_job_is_read_or_has_problems(value):
    _read_or_explain(body({"command": HTTP} | value))
    _read_or_explain(body(value))


@for_all(valid_requests, st.data())
def test_good_job_with_one_wrong_byte_is_read_or_has_problems(value, data):
    text = bytearray(body(value))
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    _read_or_explain(bytes(text))


def _read_or_explain(text: bytes) -> None:
    found = _problems_or_none(text)
    if found is None:
        request = read_request(text)
        encoded = encode_plan(Plan(request.command, request.callback_done, request.callback_failed, request.retry))
        assert not isinstance(decode_plan(encoded).command, Unreadable)
        return
    assert found
    for problem in found:
        assert POINTER.match(problem.path)
        assert problem.message
        assert not problem.message.startswith("can't be read"), f"no problem found for {text!r}: {problem}"
        assert f"{problem.path}{problem.message}".encode()


def _problems_or_none(text: bytes) -> tuple[Problem, ...] | None:
    try:
        read_request(text)
    except InvalidJob as error:
        return error.problems
    return None
