"""Reading filters of jobs: parameters of the list, and the member `filter` of requests for many jobs."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from queue_server.domain.checks import escape_pointer, tag_problems
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.instants import parse_instant, rfc3339
from queue_server.domain.job import TAG_LIMIT
from queue_server.domain.reading import read_object, words_for
from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.contract import JobFilter, JobQuery, Order, Position
from queue_server.web.parameters import read_query
from queue_server.web.v1.cursors import cursor_of, place_of
from queue_server.web.v1.filter_members import FilterMembers, ListParameters, SharedMembers

__all__ = ["FilterMembers", "ListParameters", "cursor_of", "describe", "filter_of_body", "filter_of_query"]

TAG = "tag."
PLAIN = ("type", "queue", "context", "key", "parent_id")
"""Members that are in a JobFilter as they are given."""

TIMES = ("created_after", "created_before", "ended_after", "ended_before")
SHOWN = {Order.ENDED_LAST: FINAL_STATES, Order.ENDED_FIRST: FINAL_STATES, Order.DUE: (State.SCHEDULED,)}
"""The states that a list shows, where its order excludes others."""

T = TypeVar("T")


def filter_of_query(parameters: Mapping[str, str]) -> JobQuery:
    """The page of a list that the parameters ask for; InvalidJob with all that is wrong with them."""
    reading = _Reading("")
    tags, rest = _apart(parameters)
    given = reading.parameters(rest)
    states = reading.states([] if isinstance(given.state, UnsetType) else given.state.split(","))
    query = JobQuery(
        filter=reading.filter(given, states, reading.tags(tags, TAG)),
        order=given.sort,
        after=reading.place(given),
        limit=given.limit,
    )
    reading.check_order(query)
    reading.finish()
    return query


def filter_of_body(raw: bytes | Raw) -> JobFilter:
    """The filter that a JSON object is; InvalidJob with all that is wrong with it, by pointers below `/filter`."""
    reading = _Reading("/filter")
    tags, rest = _apart(reading.object(bytes(raw)))
    given = reading.members(rest)
    texts = {name: text for name, value in tags.items() if (text := reading.value(TAG + name, value, str)) is not None}
    states = given.state if isinstance(given.state, list) else [given.state]
    wanted = reading.filter(
        given,
        [state for state in states if not isinstance(state, UnsetType)],
        reading.merged_tags({} if isinstance(given.tags, UnsetType) else given.tags, texts),
    )
    reading.finish()
    return wanted if isinstance(given.ids, UnsetType) else msgspec.structs.replace(wanted, ids=tuple(given.ids))


def describe(wanted: JobFilter) -> bytes:
    """The filter as JSON, the same for equal filters; `filter_of_body` reads it back."""
    members: dict[str, Any] = {
        "state": sorted(wanted.states, key=[*State].index) or None,
        "tags": wanted.tags or None,
        "ids": wanted.ids,
        **{name: getattr(wanted, name) for name in PLAIN},
        **{name: rfc3339(getattr(wanted, name)) for name in TIMES},
    }
    given = {name: value for name, value in members.items() if value is not None}
    return msgspec.json.encode(given, order="deterministic")


def _apart(members: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
    """The members that are tags, by the tag's name, and the others."""
    tags = {name.removeprefix(TAG): value for name, value in members.items() if name.startswith(TAG)}
    return tags, {name: value for name, value in members.items() if not name.startswith(TAG)}


class _Reading:
    """Reads the parts of a filter, and keeps what is wrong with them. `root` is the pointer to the filter."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._problems: list[Problem] = []

    def parameters(self, given: Mapping[str, str]) -> ListParameters:
        """The parameters, without those that are wrong."""
        try:
            return read_query(given, ListParameters)
        except InvalidJob as error:
            self._problems += error.problems
            wrong = {problem.path for problem in error.problems}
            return read_query({name: text for name, text in given.items() if f"/{name}" not in wrong}, ListParameters)

    def object(self, raw: bytes) -> dict[str, Raw]:
        """The members of a JSON object."""
        try:
            return read_object(raw)
        except InvalidJob as error:
            for problem in error.problems:
                self._note(problem.path, problem.message)
            return {}

    def members(self, given: Mapping[str, Raw]) -> FilterMembers:
        """The members, without those that are wrong."""
        types = {field.name: field.type for field in msgspec.structs.fields(FilterMembers)}
        known = ", ".join([*types, f"{TAG}NAME"])
        for name in given:
            if name not in types:
                self._note(_pointer(name), f"is not a known member of a filter; known are {known}")
        values = {name: self.value(name, raw, types[name]) for name, raw in given.items() if name in types}
        return FilterMembers(**{name: value for name, value in values.items() if value is not None})

    def value(self, name: str, raw: Raw, type_: Any) -> Any:
        """A member's value, None if it is wrong; null always is."""
        try:
            return msgspec.json.decode(raw, type=type_)
        except msgspec.ValidationError as error:
            self._note(_pointer(name), words_for(error, type_))
        except msgspec.DecodeError as error:
            self._note(_pointer(name), f"can't be read: {error}")
        return None

    def states(self, texts: Sequence[str]) -> list[State]:
        """The states that have these names."""
        names = [text.strip() for text in texts]
        unknown = [name for name in names if name not in list(State)]
        if unknown:
            named = ", ".join(map(repr, unknown))
            self._note("/state", f"must be one or several, separated by commas, of {', '.join(State)}; not {named}")
        return [State(name) for name in names if name not in unknown]

    def tags(self, given: Mapping[str, str], prefix: str) -> Mapping[str, str]:
        """The tags, each of which a member is named for, after `prefix`."""
        for name, value in given.items():
            for problem in tag_problems({name: value}):
                self._note(f"/{prefix}{escape_pointer(name)}", problem.message)
        if len(given) > TAG_LIMIT:
            self._note("", f"must not have more than {TAG_LIMIT} tags")
        return given

    def merged_tags(self, object_: Mapping[str, str], members: Mapping[str, str]) -> Mapping[str, str]:
        """The tags of the member `tags` and those that are members themselves."""
        for name, value in self.tags(members, TAG).items():
            if object_.get(name, value) != value:
                self._note(_pointer(TAG + name), "must have the value that it has in tags")
        return {**self.tags(object_, "tags/"), **members}

    def filter(self, given: SharedMembers, states: Sequence[State], tags: Mapping[str, str]) -> JobFilter:
        """All of it together."""
        members: dict[str, Any] = {name: _or_none(getattr(given, name)) for name in PLAIN}
        members |= {name: self._time(name, _or_none(getattr(given, name))) for name in TIMES}
        return JobFilter(states=tuple(state for state in State if state in states), tags=tags, **members)

    def place(self, given: ListParameters) -> Position | None:
        """Where the page begins."""
        if isinstance(given.cursor, UnsetType):
            return None
        try:
            order, place = place_of(given.cursor)
        except ValueError:
            self._note("/cursor", "is not a cursor of this list; take next_cursor as a page gave it")
            return None
        if order is not given.sort and not self._is_wrong("/sort"):
            self._note("/cursor", f"belongs to a list with sort={order}; go on with that, or begin without a cursor")
        return place

    def check_order(self, query: JobQuery) -> None:
        """Refuse states that the list can't show."""
        shown = SHOWN.get(query.order, tuple(State))
        hidden = [state for state in query.filter.states if state not in shown]
        if hidden:
            others, listed = ", ".join(hidden), ", ".join(shown)
            self._note("/sort", f"{query.order} lists jobs that are {listed}; the filter asks for {others}")

    def finish(self) -> None:
        """Raise InvalidJob if anything was wrong."""
        if self._problems:
            raise InvalidJob(self._problems)

    def _time(self, name: str, text: str | None) -> int | None:
        if text is None:
            return None
        try:
            return parse_instant(text)
        except (ValueError, OverflowError):
            hint = " (in a URL + is written %2B)" if " " in text and not self._root else ""
            self._note(f"/{name}", f"must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z{hint}")
            return None

    def _note(self, path: str, message: str) -> None:
        self._problems.append(Problem(self._root + path, message))

    def _is_wrong(self, path: str) -> bool:
        return any(problem.path == self._root + path for problem in self._problems)


def _pointer(name: str) -> str:
    return f"/{escape_pointer(name)}"


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value
