import re

import msgspec
import pytest
from hypothesis import strategies as st

from queue_server.domain.command import ExecCommand, HttpCommand, Unreadable
from queue_server.domain.composing import Defaults, compose_plan
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.job import JobRequest, Plan, decode_plan, encode_plan
from queue_server.domain.placeholders import fill_http
from queue_server.domain.reading import read_request
from queue_server.domain.retry import RetryWish
from tests.builders.bodies import EXEC, HTTP, POINTER, job, problems, raw, raw_http
from tests.builders.jobs import NOW
from tests.builders.properties import for_all
from tests.builders.strategies import anything, body, valid_requests

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
                "retry": {"max_attempts": 5, "backoff": "linear", "retry_on": [429, "500-599"], "max_duration": 60},
                "queue": "mails.slow:2_b-c",
                "key": "tenant 7",
                "ttl": 60,
                "deadline": "2026-11-24T09:30:00+01:00",
                "retention": 0,
                "tags": {"customer": "acme", "a.b:c_d-e": ""},
                "idempotency_key": "order 7",
            }
        )
    )
    assert (request.priority, request.context, request.delay) == (800, "MyCoolApp", 1.5)
    assert isinstance(request.command, HttpCommand)
    assert request.command.timeout == 20
    assert bytes(request.command.json) == b'{"any": "value"}'
    assert request.callback_failed == ExecCommand(args=["page", "__JOBID__"])
    assert request.retry == RetryWish(max_attempts=5, backoff="linear", retry_on=[429, "500-599"], max_duration=60.0)
    assert (request.queue, request.key, request.ttl) == ("mails.slow:2_b-c", "tenant 7", 60.0)
    assert (request.deadline, request.retention) == ("2026-11-24T09:30:00+01:00", 0.0)
    assert request.tags == {"customer": "acme", "a.b:c_d-e": ""}
    assert request.idempotency_key == "order 7"
    assert read_request(job(deadline=5)).deadline == 5.0
    assert read_request(job(expires_at="2026-11-24T09:30:00Z")).expires_at == "2026-11-24T09:30:00Z"


def test_null_stands_for_an_absent_member_where_absence_means_something():
    nothing = dict.fromkeys(set(JobRequest.__struct_fields__) - {"command", "priority", "context", "queue"})
    assert read_request(job(**nothing)) == read_request(job())
    assert read_request(job(retry={"retry_on": None, "max_duration": None})).retry == RetryWish()


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
    plan = compose_plan(request, Defaults(), NOW)
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


def test_params_may_have_as_many_lists_as_are_walked_in_time():
    def request(count: int) -> bytes:
        return job(command={**HTTP, "params": {"a": [[1]] * (count - 1)}})

    assert read_request(request(10_000))
    assert problems(request(10_001)) == {"/command/params": "must not have more than 10000 lists and objects"}


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
        encoded = encode_plan(compose_plan(read_request(text), Defaults(), NOW))
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
