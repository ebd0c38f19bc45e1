"""Changing all jobs that a filter matches."""

from collections.abc import Mapping
from typing import Any

from queue_server.client import calls
from queue_server.client.exchange import Call
from queue_server.client.filters import filter_of
from queue_server.client.results import Matched


def change(action: str, filters: Mapping[str, Any], *, all_jobs: bool, **members: Any) -> Call[Matched]:
    """Cancel, retry or delete these jobs; ValueError if no filter is given and not all jobs are meant."""
    wanted = filter_of(filters)
    if bool(wanted) is all_jobs:
        raise ValueError("give filters, or all_jobs=True for all jobs there are")
    given = {name: value for name, value in members.items() if value is not None}
    return calls.change_jobs(action, {"filter": wanted, **given})
