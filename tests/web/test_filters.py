"""Filters as clients write them: read whole, or refused with everything that is wrong."""

import json

import msgspec
import pytest
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from queue_server.domain.errors import InvalidJob
from queue_server.domain.instants import parse_instant
from queue_server.domain.state import State
from queue_server.store.contract import EVERY_JOB, JobFilter, JobQuery, Order, Position
from queue_server.web.v1.cursors import cursor_of, place_of
from queue_server.web.v1.filter_members import IDS_LIMIT
from queue_server.web.v1.filters import describe, filter_of_body, filter_of_query
from tests.builders.properties import for_all
from tests.builders.strategies import anything

TIME = "2026-11-24T09:30:00.000001Z"
MICROSECONDS = 1_795_512_600_000_001
INTEGERS = st.integers(-(2**63), 2**63 - 1)


def problems_of(read, given):
    """What is wrong, by where it is."""
    with pytest.raises(InvalidJob) as caught:
        read(given)
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems), "each place is named once"
    return found


def query_problems(parameters):
    return problems_of(filter_of_query, parameters)


def body_problems(members):
    return problems_of(filter_of_body, members if isinstance(members, bytes) else json.dumps(members).encode())


def body(members) -> JobFilter:
    return filter_of_body(json.dumps(members).encode())


# The list's parameters.


def test_no_parameters_are_the_first_page_of_all_jobs():
    assert filter_of_query({}) == JobQuery(filter=EVERY_JOB, order=Order.NEWEST, after=None, limit=50)
    assert filter_of_query(QueryParams("")) == JobQuery()


def test_every_parameter_is_read():
    text = (
        "state=failed,%20running,failed&type=exec&queue=mail&context=&key=a%20b&parent_id=7&tag.customer=acme&tag.x=&"
        f"created_after={TIME}&created_before={TIME}&ended_after={TIME}&ended_before=2026-11-24T10:30:00.000001%2B01:00"
    )
    assert filter_of_query(QueryParams(text)).filter == JobFilter(
        states=(State.RUNNING, State.FAILED),
        type="exec",
        queue="mail",
        context="",
        key="a b",
        parent_id=7,
        tags={"customer": "acme", "x": ""},
        created_after=MICROSECONDS,
        created_before=MICROSECONDS,
        ended_after=MICROSECONDS,
        ended_before=MICROSECONDS,
    )


@pytest.mark.parametrize("order", Order)
def test_page_goes_on_after_its_cursor(order):
    position = Position(MICROSECONDS, 7)
    parameters = {"sort": str(order), "cursor": cursor_of(order, position), "limit": "1000"}
    assert filter_of_query(parameters) == JobQuery(order=order, after=position, limit=1000)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("state", ["", "Failed", "failed,", ",", "waiting", "failed;running", "null"]),
        ("type", ["", "ftp", "HTTP", "null"]),
        ("queue", ["", "a b", "x" * 129, "ä", "a\n"]),
        ("context", ["a\0", "x" * 256, "a\n"]),
        ("key", ["", "\x7f", "x" * 256]),
        ("parent_id", ["", "0", "-1", "1.5", "null", "x", str(2**53), str(10**30), "\u0661"]),
        ("created_after", ["", "now", "2026-11-24", "2026-11-24T09:30:00", "0001-01-01T00:00:00+01:00", "x" * 100_000]),
        ("created_before", ["1795512600"]),
        ("ended_after", ["null"]),
        ("ended_before", ["2026-13-01T00:00:00Z"]),
        ("tag.x", ["a\0", "x" * 256]),
        ("tag.", ["a"]),
        ("tag.ä", ["a"]),
        ("tag." + "x" * 65, ["a"]),
        ("sort", ["", "-run_at", "created_at", "ID"]),
        ("limit", ["", "0", "1001", "-1", "1.5", "ten", "null", str(10**30)]),
        ("cursor", ["", "7", "null", "a" * 28, "\0", "ä", "x" * 100_000]),
        ("before_id", ["7"]),
        ("tags", ["a"]),
    ],
)
def test_parameter_that_is_wrong_is_refused(name, texts):
    for text in texts:
        assert list(query_problems({name: text})) == [f"/{name}"], text


def test_words_say_what_is_right():
    found = query_problems(
        {"state": "failed,waiting", "queue": "a b", "created_after": "2026-11-24T09:30:00 01:00", "limit": "0"}
    )
    assert found["/state"].endswith("scheduled, available, running, completed, failed, cancelled; not 'waiting'")
    assert found["/queue"] == "must be 1 to 128 of letters, digits and the characters . _ : -"
    assert found["/created_after"].endswith("such as 2026-11-24T09:30:00Z (in a URL + is written %2B)")
    assert found["/limit"] == "must be a whole number from 1 to 1000"


def test_everything_that_is_wrong_is_told_at_once():
    wrong = {
        "state": "x",
        "type": "x",
        "tag.x": "\0",
        "ended_after": "x",
        "sort": "x",
        "limit": "x",
        "cursor": "x",
        "x": "x",
    }
    assert set(query_problems(wrong)) == {f"/{name}" for name in wrong}


def test_more_than_32_tags_are_refused():
    assert filter_of_query({f"tag.x{n}": "a" for n in range(32)}).filter.tags.keys() == {f"x{n}" for n in range(32)}
    assert "32 tags" in query_problems({f"tag.x{n}": "a" for n in range(33)})[""]


@pytest.mark.parametrize(
    ("sort", "state", "is_refused"),
    [
        ("ended_at", "running", True),
        ("-ended_at", "failed,scheduled", True),
        ("run_at", "failed", True),
        ("run_at", "scheduled", False),
        ("ended_at", "failed,cancelled,completed", False),
        ("-id", "running,failed", False),
    ],
)
def test_states_that_the_order_does_not_list_are_refused(sort, state, is_refused):
    parameters = {"sort": sort, "state": state}
    if is_refused:
        assert list(query_problems(parameters)) == ["/sort"]
    else:
        filter_of_query(parameters)


# Cursors.


@for_all(st.sampled_from(Order), INTEGERS, INTEGERS)
def test_cursor_is_read_back_and_can_stand_in_a_url(order, value, id_):
    cursor = cursor_of(order, Position(value, id_))
    assert place_of(cursor) == (order, Position(value, id_))
    assert QueryParams(f"cursor={cursor}")["cursor"] == cursor
    assert cursor.isascii()
    assert len(cursor) < 40


@for_all(INTEGERS, st.integers(0, 27), st.characters())
def test_cursor_that_was_changed_is_refused(value, place, character):
    cursor = cursor_of(Order.OLDEST, Position(value, value))
    changed = cursor[:place] + character + cursor[place + 1 :]
    if changed != cursor:
        assert list(query_problems({"cursor": changed, "sort": "id"})) == ["/cursor"]
    assert list(query_problems({"cursor": cursor[:-1], "sort": "id"})) == ["/cursor"]
    assert list(query_problems({"cursor": cursor * 2, "sort": "id"})) == ["/cursor"]


def test_cursor_of_another_order_is_refused_and_names_it():
    cursor = cursor_of(Order.ENDED_LAST, Position(1, 1))
    assert "sort=-ended_at" in query_problems({"cursor": cursor})["/cursor"]
    assert list(query_problems({"cursor": cursor, "sort": "x"})) == ["/sort"]


# The member `filter`.


def test_empty_object_means_every_job():
    assert body({}) == EVERY_JOB


def test_every_member_is_read():
    members = {
        "state": ["failed", "running", "failed"],
        "type": "http",
        "queue": "mail",
        "context": "",
        "key": "null",
        "parent_id": 7,
        "tags": {"customer": "acme"},
        "tag.region": "eu",
        "tag.customer": "acme",
        "created_after": TIME,
        "created_before": TIME,
        "ended_after": TIME,
        "ended_before": TIME,
        "ids": [3, 1, 2**53 - 1],
    }
    assert body(members) == JobFilter(
        states=(State.RUNNING, State.FAILED),
        type="http",
        queue="mail",
        context="",
        key="null",
        parent_id=7,
        tags={"customer": "acme", "region": "eu"},
        created_after=MICROSECONDS,
        created_before=MICROSECONDS,
        ended_after=MICROSECONDS,
        ended_before=MICROSECONDS,
        ids=(3, 1, 2**53 - 1),
    )
    assert body({"state": "failed"}).states == (State.FAILED,)


def test_no_ids_mean_no_job():
    assert body({"ids": []}).ids == ()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("state", [[], "", "x", ["x"], [["failed"]], {}, 1, "failed,running"]),
        ("type", ["ftp", 1, ["http"]]),
        ("queue", ["", "a b", 1, []]),
        ("context", ["a\0", 1, "x" * 256]),
        ("key", ["", 1]),
        ("parent_id", [0, -1, 1.5, "1", 2**53, 10**30, True]),
        ("tags", [[], "x", 1, {"a": 1}, {"a": None}, {f"x{n}": "" for n in range(33)}]),
        ("tag.x", ["\0", 1, {}, "x" * 256]),
        ("tag.", ["a"]),
        ("created_after", ["", 1795512600, "2026-11-24"]),
        ("created_before", [[]]),
        ("ended_after", ["x"]),
        ("ended_before", [1.5]),
        ("ids", [1, "1", [0], [1.5], ["1"], [2**53], [None], [[1]], list(range(1, IDS_LIMIT + 2))]),
        ("limit", [1]),
        ("sort", ["id"]),
        ("Queue", ["mail"]),
        ("a~1b", [1]),
    ],
)
def test_member_that_is_wrong_is_refused(name, values):
    """Null as well: a filter that is left out by mistake would mean more jobs."""
    for value in [*values, None]:
        assert list(body_problems({name: value})) == ["/filter/" + name.replace("~", "~0")], value


def test_ten_thousand_ids_are_taken():
    assert len(body({"ids": list(range(1, IDS_LIMIT + 1))}).ids) == IDS_LIMIT


def test_tags_that_are_wrong_are_pointed_at():
    found = body_problems({"tags": {"a/b": "x", "ok": "\0"}, "tag.c d": "x"})
    assert set(found) == {"/filter/tags/a~1b", "/filter/tags/ok", "/filter/tag.c d"}


def test_tag_that_is_given_twice_has_one_value():
    assert list(body_problems({"tags": {"a": "1"}, "tag.a": "2"})) == ["/filter/tag.a"]


def test_all_members_that_are_wrong_are_told_at_once():
    wrong = {"state": [], "queue": "", "ended_before": "x", "tag.x": 1, "ids": [0], "x": 1}
    assert set(body_problems(wrong)) == {f"/filter/{name}" for name in wrong}


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff", b'{"key":"\\ud800"}', b"[" * 100_000]
)
def test_what_is_no_object_is_refused(raw):
    assert list(body_problems(raw)) == ["/filter"]


@for_all(anything)
def test_any_json_is_read_or_refused(value):
    problems = ()
    try:
        filter_of_body(json.dumps(value).encode())
    except InvalidJob as error:
        problems = error.problems
    assert all(problem.path.startswith("/filter") for problem in problems)


# Filters that are kept.

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]), max_size=9)
instants = st.none() | st.integers(parse_instant("0001-01-01T00:00:00Z"), parse_instant("9999-12-31T23:59:59.999999Z"))
ids = st.integers(1, 2**53 - 1)
kept = st.builds(
    JobFilter,
    states=st.sets(st.sampled_from(State)).map(lambda states: tuple(state for state in State if state in states)),
    type=st.sampled_from([None, "http", "exec"]),
    queue=st.none() | st.from_regex(r"\A[A-Za-z0-9._:-]{1,128}\Z"),
    context=st.none() | texts,
    key=st.none() | texts.filter(bool),
    parent_id=st.none() | ids,
    tags=st.dictionaries(st.from_regex(r"\A[A-Za-z0-9._:-]{1,64}\Z"), texts, max_size=4),
    created_after=instants,
    created_before=instants,
    ended_after=instants,
    ended_before=instants,
    ids=st.none() | st.lists(ids, max_size=4).map(tuple),
)


@for_all(kept)
def test_filter_that_was_kept_is_read_back(wanted):
    assert filter_of_body(describe(wanted)) == wanted
    assert filter_of_body(msgspec.Raw(describe(wanted))) == wanted


def test_equal_filters_are_kept_alike():
    one = JobFilter(states=(State.FAILED, State.RUNNING), tags={"a": "1", "b": "2"})
    other = JobFilter(states=(State.RUNNING, State.FAILED), tags={"b": "2", "a": "1"})
    assert describe(one) == describe(other) == b'{"state":["running","failed"],"tags":{"a":"1","b":"2"}}'
    assert describe(EVERY_JOB) == b"{}"
    assert describe(JobFilter(ids=())) == b'{"ids":[]}'
