"""What schemathesis (a process of its own) changes in each request before it is sent: see `before_call`."""

import re
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

from queue_server.domain.checks import command_problems
from queue_server.domain.command import HttpCommand

CLOSED = "127.0.0.1:9"
"""Where jobs go: nobody listens there, so they end at once."""

WAIT_LIMIT_S = 0.2
HOST = re.compile(r"^(https?://)[^/?#]*", re.IGNORECASE)


@schemathesis.hook
def before_call(_context: HookContext, case: Case, **_arguments: Any) -> None:
    """Send no job off this machine, wait for nothing long, and make up no cursors.

    Numbers such as 5.0, which JSON Schema takes for whole ones and the server doesn't, are written as 5.
    """
    is_positive = case.meta is None or case.meta.generation.mode.is_positive
    case.body = _tamed(case.body, is_positive=is_positive)
    if isinstance(case.query, Mapping):
        case.query = _short(case.query, is_positive=is_positive)


def _tamed(value: Any, *, is_positive: bool) -> Any:
    match value:
        case dict():
            return {
                name: _tamed_url(member, is_positive=is_positive)
                if name == "url" and isinstance(member, str)
                else _tamed(member, is_positive=is_positive)
                for name, member in value.items()
            }
        case list():
            return [_tamed(member, is_positive=is_positive) for member in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case _:
            return value


def _tamed_url(url: str, *, is_positive: bool) -> str:
    """The URL at a closed port, if it is one. The schema can't say which hosts are, so a positive one always is."""
    if is_positive or not [*command_problems(HttpCommand(url=url), "")]:
        return HOST.sub(rf"\g<1>{CLOSED}", url)
    return url


def _short(query: Mapping[str, Any], *, is_positive: bool) -> dict[str, Any]:
    kept = {name: value for name, value in query.items() if not (is_positive and name == "cursor")}
    if is_positive and "sort" in kept:
        kept.pop("state", None)  # a list by end shows no others
    if is_positive and "wait" in kept:
        kept["wait"] = min(float(kept["wait"]), WAIT_LIMIT_S)
    if is_positive and "follow" in kept:
        kept["follow"] = "false"
    return kept
