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

ANY_CODES = "200,210-255"
"""Statuses and exit codes alike."""

WAIT_LIMIT_S = 0.2
HOST = re.compile(r"^(https?://)[^/?#]*", re.IGNORECASE)


@schemathesis.hook
def before_call(_context: HookContext, case: Case, **_arguments: Any) -> None:
    """Send no job off this machine and wait for nothing long.

    What JSON Schema can't say is mended where a request is meant to be good: whether a text names a host, whether the
    codes that it names are in order and fit the command, whether there is a secret of a name, whether one delay is
    shorter than another, whether header and body have the same idempotency key, whether a page gave a cursor, what a
    token's targets and times are. Numbers such as 5.0, which are whole ones to JSON Schema and not to the server, are
    written as 5.
    """
    is_positive = case.meta is None or case.meta.generation.mode.is_positive
    if is_positive and case.operation.path == "/v1/tokens" and isinstance(case.body, dict):
        case.body = _fitting_token(case.body)
    if isinstance(case.body, dict | list):
        case.body = _tamed(case.body, is_positive=is_positive)
    if is_positive and isinstance(case.body, dict) and "Idempotency-Key" in (case.headers or {}):
        case.body.pop("idempotency_key", None)
    if isinstance(case.query, Mapping):
        case.query = _short(case.query, is_positive=is_positive)


def _fitting_token(body: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name not in ("http_allow", "http_deny", "expires_at")}
    if "admin" in (kept.get("scopes") or ()):
        kept = {name: value for name, value in kept.items() if name not in ("contexts", "queues", "http_targets")}
    return kept | {"name": f"t{kept['name'][:60]}"}


def _tamed(value: Any, *, is_positive: bool) -> Any:
    match value:
        case {"secret_ref": str()} | {"kind": "signing"} if is_positive:
            return {"secret": "x"} if "secret_ref" in value else {k: v for k, v in value.items() if k != "kind"}
        case {"min_delay": _, "max_delay": _, **others} if is_positive:
            return _tamed(others, is_positive=True)
        case dict():
            return {name: _tamed_member(name, member, is_positive=is_positive) for name, member in value.items()}
        case list():
            return [_tamed(member, is_positive=is_positive) for member in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case _:
            return value


def _tamed_member(name: str, value: Any, *, is_positive: bool) -> Any:
    if name == "url" and isinstance(value, str) and (is_positive or _is_url(value)):
        return HOST.sub(rf"\g<1>{CLOSED}", value)
    if name in ("expect", "retry_on") and is_positive and value is not None:
        return ANY_CODES
    return _tamed(value, is_positive=is_positive)


def _is_url(text: str) -> bool:
    return not [*command_problems(HttpCommand(url=text), "")]


def _short(query: Mapping[str, Any], *, is_positive: bool) -> dict[str, Any]:
    kept = {name: value for name, value in query.items() if not (is_positive and name == "cursor")}
    if is_positive and "sort" in kept:
        kept.pop("state", None)  # a list by end shows no others
    if is_positive and "wait" in kept:
        kept["wait"] = min(float(kept["wait"]), WAIT_LIMIT_S)
    if is_positive and "follow" in kept:
        kept["follow"] = "false"
    return kept
