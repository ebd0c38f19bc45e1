"""From keywords to the JSON of a job. What the values mean is for the server to check."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, cast

import msgspec

Moment = datetime | str
Seconds = float | timedelta
Text = str | Mapping[str, str]
"""A text, or a secret: {"secret": "…"}, or {"secret_ref": "name", "prefix": "…"} for one that the server keeps."""


class CommandMembers(TypedDict, total=False):
    """The members of a command; `url` makes it an http one, `cmd`, `args` or `name` an exec one."""

    url: str
    method: str
    params: Mapping[str, Any]
    headers: Mapping[str, Text]
    json: Any
    body: Text
    body_base64: str
    cmd: str
    args: Sequence[str]
    name: str
    arguments: Mapping[str, str | float | bool]
    cwd: str
    env: Mapping[str, Text]
    stdin: Text
    timeout: Seconds
    expect: str | int


class JobMembers(CommandMembers, total=False):
    """What a job may say: the members of its command, and its own. A callback may be given as its URL."""

    queue: str
    key: str
    priority: int
    context: str
    tags: Mapping[str, str]
    delay: Seconds
    run_at: Moment
    ttl: Seconds
    expires_at: Moment
    deadline: Seconds | Moment
    retry: Mapping[str, Any]
    retention: Seconds
    callback_done: Mapping[str, Any] | str
    callback_failed: Mapping[str, Any] | str


COMMAND_MEMBERS = tuple(CommandMembers.__annotations__)
CALLBACKS = ("callback_done", "callback_failed")


def job_of(members: Mapping[str, Any]) -> dict[str, Any]:
    """The job that these members describe (see JobMembers). Those that are None are left out."""
    given = {name: value for name, value in members.items() if value is not None}
    command = {name: given.pop(name) for name in COMMAND_MEMBERS if name in given}
    if command:
        given["command"] = {"type": "http" if "url" in command else "exec", **command}
    for name in CALLBACKS:
        if isinstance(given.get(name), str):
            given[name] = {"type": "http", "url": given[name]}
    return given


def encode(value: Any) -> bytes:
    """The value as JSON: times as RFC 3339, spans of time as seconds; ValueError for a time without a zone."""
    return msgspec.json.encode(_plain(value))


def moment(value: Moment) -> str:
    """The time as RFC 3339; ValueError if it has no time zone, as nobody could tell when that is."""
    if isinstance(value, str):
        return value
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone; datetime.now(UTC) and value.astimezone() have one")
    return value.isoformat()


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {name: _plain(member) for name, member in members.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    return value
