import msgspec
import pytest
from msgspec import UNSET, Raw

from queue_server.domain.command import HttpCommand
from queue_server.domain.composing import (
    SORTED_BYTES,
    Defaults,
    compose_plan,
    compose_row,
    due_at,
    fingerprint,
    overdue_at,
)
from queue_server.domain.instants import parse_instant
from queue_server.domain.job import JobRequest, NewJob, Once, Plan, decode_plan, encode_plan
from queue_server.domain.reading import read_request
from queue_server.domain.retry import ONCE, Retry, RetryWish
from queue_server.domain.state import State
from tests.builders.jobs import DAY, EXEC, HTTP, NOW, SECOND, plan
from tests.builders.properties import for_all
from tests.builders.strategies import body, valid_requests

OF_THE_FIRST_API = Defaults()
DEFAULTS = Defaults(priority=300, context="server", retry=Retry(max_attempts=4))
LATER = "2026-11-24T09:30:00Z"


def request(**members) -> JobRequest:
    """A job as a client writes it."""
    return JobRequest(**({"command": HTTP} | members))


def composed(defaults: Defaults = OF_THE_FIRST_API, **members) -> tuple[Plan, NewJob]:
    """The plan and the row of a job with these members that is added now."""
    asked = request(**members)
    made = compose_plan(asked, defaults, NOW)
    return made, compose_row(asked, made, defaults, NOW)


# Plans and rows.


def test_smallest_job_has_the_defaults():
    made, row = composed(DEFAULTS)
    assert made == plan(retry=Retry(max_attempts=4))
    assert row == NewJob(
        state=State.AVAILABLE,
        priority=300,
        run_at=NOW,
        created_at=NOW,
        context="server",
        type="http",
        payload=encode_plan(made),
        queue="default",
    )


def test_defaults_are_those_of_the_first_api():
    made, row = composed()
    assert made.retry is None
    assert (row.priority, row.context, row.queue) == (500, "default", "default")


def test_members_rule_over_the_defaults():
    made, row = composed(
        DEFAULTS, priority=0, context="", retry=RetryWish(max_attempts=2), queue="mails", key="acme", tags={"a": "b"}
    )
    assert made.retry == Retry(max_attempts=2)
    assert (row.priority, row.context, row.queue, row.key, row.tags) == (0, "", "mails", "acme", {"a": "b"})
    assert made.tags == {"a": "b"}


def test_row_says_what_it_is_to_be_found_by():
    once = Once("scope", "key", b"x" * 16, NOW + DAY)
    asked = request(command=EXEC, callback_done=HTTP, retention=7.5)
    made = compose_plan(asked, DEFAULTS, NOW)
    row = compose_row(asked, made, DEFAULTS, NOW, once)
    assert (row.type, row.once, row.parent_id) == ("exec", once, None)
    assert (made.callback_done, made.retention, made.report) == (HTTP, 7.5, None)
    assert decode_plan(row.payload) == made


@pytest.mark.parametrize("tags", [None, {}])
def test_job_without_tags_has_none(tags):
    made, row = composed(tags=tags)
    assert (made.tags, row.tags) == (None, None)


@for_all(valid_requests)
def test_row_of_any_good_job_agrees_with_its_plan(value):
    asked = read_request(body(value))
    made = compose_plan(asked, DEFAULTS, NOW)
    row = compose_row(asked, made, DEFAULTS, NOW)
    again = decode_plan(row.payload)
    assert encode_plan(again) == row.payload
    assert (again.expires_at, again.deadline, again.tags) == (made.expires_at, made.deadline, row.tags)
    assert row.overdue_at == overdue_at(again)
    assert row.run_at >= NOW
    assert row.state is (State.SCHEDULED if row.run_at > NOW else State.AVAILABLE)


# When it may run.


@pytest.mark.parametrize(
    ("members", "instant"),
    [
        ({}, NOW),
        ({"delay": 0}, NOW),
        ({"delay": 2.5}, NOW + 2_500_000),
        ({"delay": 0.0000004}, NOW),
        ({"run_at": LATER}, parse_instant(LATER)),
        ({"run_at": "2001-01-01T00:00:00Z"}, NOW),
        ({"run_at": "0001-01-01T00:00:00Z"}, NOW),
    ],
    ids=str,
)
def test_job_is_due_when_it_says_and_not_before_now(members, instant):
    assert due_at(request(**members), NOW) == instant
    _, row = composed(**members)
    assert (row.run_at, row.state) == (instant, State.SCHEDULED if instant > NOW else State.AVAILABLE)


# Until when it must have started or ended.


@pytest.mark.parametrize(
    ("members", "expires_at", "deadline", "overdue"),
    [
        ({}, None, None, None),
        ({"ttl": 2.5}, NOW + 2_500_000, None, NOW + 2_500_000),
        ({"ttl": 0}, NOW, None, NOW),
        ({"expires_at": LATER}, parse_instant(LATER), None, parse_instant(LATER)),
        ({"deadline": 7}, None, NOW + 7 * SECOND, NOW + 7 * SECOND),
        ({"deadline": 0.0}, None, NOW, NOW),
        ({"deadline": LATER}, None, parse_instant(LATER), parse_instant(LATER)),
        ({"ttl": 5, "deadline": 7}, NOW + 5 * SECOND, NOW + 7 * SECOND, NOW + 5 * SECOND),
        ({"ttl": 9, "deadline": 7}, NOW + 9 * SECOND, NOW + 7 * SECOND, NOW + 7 * SECOND),
    ],
    ids=str,
)
def test_limits_count_from_now(members, expires_at, deadline, overdue):
    made, row = composed(**members)
    assert (made.expires_at, made.deadline, row.overdue_at) == (expires_at, deadline, overdue)


def test_limits_do_not_wait_for_a_job_that_runs_later():
    made, row = composed(delay=60, ttl=5)
    assert (made.expires_at, row.overdue_at, row.state) == (NOW + 5 * SECOND, NOW + 5 * SECOND, State.SCHEDULED)


# What two requests have in common.

JOB = (
    b'{"command":{"type":"http","url":"http://example.com/","headers":{"A":"1","B":"2"},"timeout":20,'
    b'"json":{"n":12345678901234567890123,"list":[1,{"x":null,"y":"z"}],"big":1e400}},'
    b'"retry":{"max_attempts":3,"retry_on":"503"},"tags":{"a":"1","b":"2"},"ttl":60,"priority":7}'
)
SAME = (
    b' { "priority" : 7, "ttl":60.0,"tags":{ "b":"2","a":"1" },"retry":{"retry_on":"503","max_attempts":3},\n'
    b'"command":{"json":{"big": 1e400, "list": [ 1, {"y":"z","x":null} ],"n":12345678901234567890123},'
    b'"timeout":2e1,"headers":{"B":"2","A":"1"},"url":"http:\\/\\/example.com\\u002f","type":"http"},"callback_done":null}'
)


def of(text: bytes) -> bytes:
    """The fingerprint of a body."""
    return fingerprint(read_request(text))


def test_order_and_spacing_of_members_make_no_difference():
    assert len(of(JOB)) == 16
    assert of(JOB) == of(SAME)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'"priority":7', b'"priority":8'),
        (b'"priority":7', b'"priority":7,"key":"k"'),
        (b'"priority":7', b'"priority":7,"queue":"default"'),
        (b'"priority":7', b'"priority":7,"delay":0'),
        (b'"priority":7', b'"priority":7,"run_at":"2026-11-24T09:30:00Z"'),
        (b'"priority":7', b'"priority":7,"context":"default"'),
        (b'"priority":7', b'"priority":7,"callback_failed":{"type":"exec","cmd":"true"}'),
        (b'"priority":7', b'"priority":7,"callback_done":{"type":"exec","cmd":"true"}'),
        (b'"priority":7', b'"priority":7,"deadline":60'),
        (b'"priority":7', b'"priority":7,"deadline":"2026-11-24T09:30:00Z"'),
        (b'"priority":7', b'"priority":7,"retention":0'),
        (b'"ttl":60', b'"ttl":61'),
        (b'"ttl":60', b'"expires_at":"2026-11-24T09:30:00Z"'),
        (b'"max_attempts":3', b'"max_attempts":4'),
        (b'"max_attempts":3,', b'"max_attempts":3,"jitter":0.2,'),
        (b'"max_attempts":3,', b'"max_attempts":3,"max_duration":5,'),
        (b'"retry_on":"503"', b'"retry_on":503'),
        (b'"a":"1"', b'"a":"2"'),
        (b'"a":"1"', b'"c":"1"'),
        (b"example.com/", b"example.com/x"),
        (b'"A":"1"', b'"A":"1 "'),
        (b'"timeout":20', b'"timeout":20,"expect":204'),
        (b'"timeout":20', b'"timeout":21'),
        (b"12345678901234567890123", b"12345678901234567890124"),
        (b"1e400", b"1e401"),
        (b"[1,", b'["1",'),
        (b"[1,", b"[1.0,"),
        (b"[1,", b"[true,"),
        (b"[1,", b"[1,1,"),
        (b'"x":null,', b""),
        (b'"y":"z"', b'"y":"Z"'),
    ],
    ids=str,
)
def test_any_member_that_differs_makes_a_difference(one, other):
    assert JOB.count(one) == 1
    assert of(JOB.replace(one, other)) != of(JOB)


def test_order_within_a_list_makes_a_difference():
    assert of(JOB.replace(b'[1,{"x":null,"y":"z"}]', b'[{"x":null,"y":"z"},1]')) != of(JOB)


def test_idempotency_key_makes_no_difference():
    """It is given with the request or in a header; the same key is what brings two fingerprints together."""
    assert of(JOB[:-1] + b',"idempotency_key":"k"}') == of(JOB)


def _with_json(text: str) -> JobRequest:
    return request(command=HttpCommand(url="http://example.com/", json=Raw(text.encode())))


@pytest.mark.parametrize("filling", ["x" * SORTED_BYTES, "", "é\\u0000"], ids=len)
def test_large_bodies_are_told_apart_too(filling):
    one, other = (_with_json(f'{{"a":"{end}","b":"{filling}"}}') for end in "xy")
    assert fingerprint(one) == fingerprint(_with_json(f'{{"a":"x","b":"{filling}"}}')) != fingerprint(other)


def test_deeply_nested_bodies_are_told_apart_too():
    one, other = (_with_json("[" * 20_000 + end + "]" * 20_000) for end in "12")
    assert fingerprint(one) == fingerprint(_with_json("[" * 20_000 + "1" + "]" * 20_000)) != fingerprint(other)


@for_all(valid_requests)
def test_same_body_has_the_same_fingerprint(value):
    assert of(body(value)) == of(body(dict(reversed(value.items()))))
    assert of(body(value | {"priority": 1})) != of(body(value | {"priority": 2}))


def test_defaults_have_no_part_in_the_fingerprint():
    """So that a key outlives a change of the settings."""
    assert request().priority is UNSET
    assert msgspec.json.encode(request()) == b'{"command":{"type":"http","url":"http://example.com/work"}}'
    assert Defaults() == Defaults(500, "default", ONCE)
