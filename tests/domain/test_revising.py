import json

import msgspec
import pytest
from hypothesis import strategies as st
from msgspec import Raw

from queue_server.domain.command import ExecCommand, HttpCommand, Unreadable
from queue_server.domain.composing import Defaults, compose_plan, compose_row
from queue_server.domain.errors import InvalidJob
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import JobRequest
from queue_server.domain.reading import read_request
from queue_server.domain.retry import Retry, RetryWish
from queue_server.domain.revising import NO_PATCH, Patch, members_of, patched, read_patch
from queue_server.domain.state import State
from tests.builders.jobs import EXEC, HTTP, NOW, SECOND, plan, record
from tests.builders.properties import for_all
from tests.builders.strategies import body, valid_requests

LATER = "2026-11-24T09:30:00Z"


def problems(call, *arguments) -> dict[str, str]:
    """What is wrong, by path."""
    with pytest.raises(InvalidJob) as caught:
        call(*arguments)
    return {problem.path: problem.message for problem in caught.value.problems}


def revised(patch: bytes, of=None) -> JobRequest:
    """A job with a patch."""
    return patched(of or record(), read_patch(patch))


# Reading a patch.


@pytest.mark.parametrize("text", [b"", b" \r\n", b"{}", b"\xef\xbb\xbf{}"])
def test_nothing_changes_nothing(text):
    assert read_patch(text) == NO_PATCH == Patch({})
    assert not NO_PATCH.moves_due_time
    assert not NO_PATCH.changes_retry


@pytest.mark.parametrize("text", [b"[]", b"5", b"null", b'"text"'])
def test_patch_that_is_no_object_is_refused(text):
    assert problems(read_patch, text) == {"": "must be a JSON object"}


@pytest.mark.parametrize("text", [b"{", b"nope", b'{"priority":}', b"\xff", b"[" * 100_000, b'{"context":"\\ud800"}'])
def test_patch_that_is_no_json_says_so(text):
    (message,) = problems(read_patch, text).values()
    assert "JSON" in message or "UTF-8" in message or "surrogate" in message


def test_members_that_are_fixed_or_unknown_are_all_named():
    found = problems(read_patch, b'{"idempotency_key":"x","id":7,"a/b~c":null,"priority":1}')
    assert found["/idempotency_key"] == "can't be changed"
    assert found["/id"] == f"is not a known member; known are {', '.join(JobRequest.__struct_fields__)}"
    assert set(found) == {"/idempotency_key", "/id", "/a~1b~0c"}


# A job as it could have been sent.


def test_job_that_was_stored_is_sent_again_by_its_members():
    of = record(
        State.SCHEDULED,
        priority=7,
        context="app",
        queue="mails",
        key="acme",
        plan=plan(
            EXEC,
            callback_done=HTTP,
            retry=Retry(max_attempts=3, retry_on="1"),
            expires_at=NOW + 1,
            deadline=NOW + 2,
            retention=5.0,
            tags={"a": "b"},
        ),
    )
    assert members_of(of) == {
        "command": EXEC,
        "priority": 7,
        "context": "app",
        "queue": "mails",
        "key": "acme",
        "callback_done": HTTP,
        "retry": {
            "max_attempts": 3,
            "backoff": "exponential",
            "min_delay": 1.0,
            "max_delay": 3600.0,
            "jitter": 0.2,
            "retry_on": "1",
        },
        "expires_at": rfc3339(NOW + 1),
        "deadline": rfc3339(NOW + 2),
        "retention": 5.0,
        "tags": {"a": "b"},
    }
    assert set(members_of(record())) == {"command", "priority", "context", "queue"}


@for_all(valid_requests, st.sampled_from([Defaults(), Defaults(7, "server", Retry(4, "fixed", 3.0, 8.0, 0.0))]))
def test_any_job_is_sent_again_as_it_is(value, defaults):
    """Whatever the server's settings are by then."""
    asked = read_request(body(value))
    made = compose_plan(asked, Defaults(), NOW)
    row = compose_row(asked, made, Defaults(), NOW)
    stored = record(
        row.state,
        run_at=row.run_at,
        plan=made,
        priority=row.priority,
        context=row.context,
        queue=row.queue,
        key=row.key,
    )
    again = patched(stored, NO_PATCH)
    plan_again = compose_plan(again, defaults, NOW + 5 * SECOND)
    row_again = compose_row(again, plan_again, defaults, NOW + 5 * SECOND)
    if made.retry is not None:
        assert plan_again.retry == made.retry
    assert (plan_again.expires_at, plan_again.deadline) == (made.expires_at, made.deadline)
    assert (plan_again.retention, plan_again.tags) == (made.retention, made.tags)
    assert (row_again.priority, row_again.context) == (row.priority, row.context)
    assert (row_again.queue, row_again.key, row_again.type) == (row.queue, row.key, row.type)
    for one, other in zip(_commands(plan_again), _commands(made), strict=True):
        assert one == other


def _commands(of) -> list[bytes]:
    return [msgspec.json.encode(one) for one in (of.command, of.callback_done, of.callback_failed)]


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_limits_of_any_year_can_be_sent_again(year):
    asked = JobRequest(command=HTTP, expires_at=year, deadline=year)
    again = patched(record(plan=compose_plan(asked, Defaults(), NOW)), NO_PATCH)
    assert compose_plan(again, Defaults(), NOW) == compose_plan(asked, Defaults(), NOW)


# What patches do.


def test_member_that_is_named_changes_and_no_other():
    before = patched(record(), NO_PATCH)
    assert revised(b'{"priority":9}') == msgspec.structs.replace(before, priority=9)
    assert revised(b'{"tags":{"a":"1"},"queue":"mails"}') == msgspec.structs.replace(
        before, tags={"a": "1"}, queue="mails"
    )


def test_command_is_changed_member_by_member():
    of = record(plan=plan(HttpCommand(url="http://a/", headers={"A": "1", "B": "2"}, json=Raw(b'{"n":1e999,"m":2}'))))
    command = revised(b'{"command":{"headers":{"A":null,"C":"3"},"json":{"m":null,"big":12345678901234567890}}}', of)
    assert command.command.headers == {"B": "2", "C": "3"}
    assert bytes(command.command.json) == b'{"n":1e999,"big":12345678901234567890}'
    assert command.command.url == "http://a/"


def test_command_of_another_type_takes_the_place_of_one_whose_members_are_removed():
    request = revised(b'{"command":{"type":"exec","cmd":"true","url":null}}')
    assert request.command == ExecCommand(cmd="true")
    assert "/command/url" in problems(revised, b'{"command":{"type":"exec","cmd":"true"}}')


def test_null_removes_what_may_be_absent():
    of = record(
        key="k",
        plan=plan(
            callback_done=HTTP,
            callback_failed=EXEC,
            retry=Retry(3),
            expires_at=NOW,
            deadline=NOW,
            retention=1.0,
            tags={"a": "b"},
        ),
    )
    names = ["key", "callback_done", "callback_failed", "retry", "expires_at", "deadline", "retention", "tags"]
    removed = revised(json.dumps(dict.fromkeys(names)).encode(), of)
    assert [getattr(removed, name) for name in names] == [None] * len(names)
    defaults = revised(b'{"priority":null,"context":null,"queue":null}', record(priority=1, context="c", queue="q"))
    assert defaults == JobRequest(command=HTTP)
    assert problems(revised, b'{"command":null}') == {"/command": "is required"}


def test_tags_and_retry_change_member_by_member():
    of = record(plan=plan(tags={"a": "1", "b": "2"}, retry=Retry(3, "fixed", 5.0, 50.0)))
    request = revised(b'{"tags":{"a":null,"c":"3"},"retry":{"min_delay":6,"jitter":null}}', of)
    assert request.tags == {"b": "2", "c": "3"}
    assert request.retry == RetryWish(max_attempts=3, backoff="fixed", min_delay=6.0, max_delay=50.0)


@pytest.mark.parametrize(
    ("patch", "expires_at", "ttl"),
    [
        (b'{"ttl":60}', None, 60.0),
        (b'{"expires_at":"%s"}' % LATER.encode(), LATER, None),
        (b'{"ttl":null}', None, None),
        (b'{"expires_at":null}', None, None),
        (b'{"ttl":null,"expires_at":"%s"}' % LATER.encode(), LATER, None),
        (b'{"ttl":60,"expires_at":null}', None, 60.0),
        (b'{"priority":1}', rfc3339(NOW), None),
    ],
)
def test_time_to_live_and_expires_at_take_each_others_place(patch, expires_at, ttl):
    request = revised(patch, record(plan=plan(expires_at=NOW)))
    assert (request.expires_at, request.ttl) == (expires_at, ttl)


@pytest.mark.parametrize(
    ("patch", "run_at", "delay", "moves"),
    [
        (b'{"delay":60}', None, 60.0, True),
        (b'{"run_at":"%s"}' % LATER.encode(), LATER, None, True),
        (b'{"run_at":null}', None, None, True),
        (b'{"priority":1}', None, None, False),
    ],
)
def test_delay_and_run_at_take_each_others_place(patch, run_at, delay, moves):
    request = revised(patch, record(State.SCHEDULED))
    assert (request.run_at, request.delay) == (run_at, delay)
    assert read_patch(patch).moves_due_time == moves


def test_patch_that_gives_both_is_refused():
    both = b'{"delay":1,"run_at":"%s","ttl":1,"expires_at":"%s"}' % (LATER.encode(), LATER.encode())
    assert problems(revised, both) == {
        "/run_at": "give delay or run_at, not both",
        "/expires_at": "give ttl or expires_at, not both",
    }


def test_patch_that_makes_no_good_job_is_told_everything_that_is_wrong():
    found = problems(
        revised,
        b'{"command":{"url":"ftp://x","headers":{"A b":"x"},"expect":"9"},"priority":1001,"queue":"a b","key":"",'
        b'"tags":{"a b":"x","c":5},"retry":{"max_attempts":0,"retry_on":"7"},"deadline":-1,"retention":"x",'
        b'"callback_done":{"type":"smtp"},"expires_at":"soon"}',
    )
    assert set(found) == {
        "/command/url",
        "/command/headers/A b",
        "/command/expect",
        "/priority",
        "/queue",
        "/key",
        "/tags/a b",
        "/tags/c",
        "/retry/max_attempts",
        "/retry/retry_on",
        "/deadline",
        "/retention",
        "/callback_done/type",
        "/expires_at",
    }


def test_job_whose_command_cannot_be_read_can_be_given_another_one():
    of = record(plan=plan(Unreadable(reason="of a later version")))
    assert problems(revised, b'{"priority":1}', of) == {"/command": "is required"}
    assert revised(b'{"command":{"type":"http","url":"http://a/"}}', of).command == HttpCommand(url="http://a/")
