"""Which jobs: the same filters for lists (as a query) and for changing many jobs (as JSON)."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, cast

from queue_server.client.composing import Moment, moment

TIMES = ("created_after", "created_before", "ended_after", "ended_before")


class JobFilters(TypedDict, total=False):
    """Every filter that is given must match. After is inclusive, before exclusive; a tag must have that value."""

    state: str | Iterable[str]
    type: str
    queue: str
    context: str
    key: str
    parent_id: int
    tags: Mapping[str, str]
    created_after: Moment
    created_before: Moment
    ended_after: Moment
    ended_before: Moment


class ManyFilters(JobFilters, total=False):
    """The filters for changing many jobs, which can also name them."""

    ids: Iterable[int]


class EventFilters(TypedDict, total=False):
    """Which events: every filter that is given must match."""

    type: str | Iterable[str]
    state: str | Iterable[str]
    queue: str
    context: str


def query_of(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters as parameters of a query: several values with commas, a tag as `tag.NAME`."""
    members = filter_of(filters)
    tags = members.pop("tags", {})
    query = {name: _joined(value) for name, value in members.items()}
    return {**query, **{f"tag.{name}": value for name, value in tags.items()}}


def filter_of(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters as the member `filter` of a request. Those that are None are left out."""
    return {name: _value(name, value) for name, value in filters.items() if value is not None}


def _joined(value: Any) -> Any:
    return ",".join(cast("list[str]", value)) if isinstance(value, list) else value


def _value(name: str, value: Any) -> Any:
    if name in TIMES:
        return moment(value)
    return value if isinstance(value, str | int | Mapping) else list(value)  # pyright: ignore[reportUnknownVariableType]
