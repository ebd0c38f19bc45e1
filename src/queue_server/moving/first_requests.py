"""What a row of the first Queue Server's table asks for, read leniently: it was never checked as ours are.

PHP writes an empty object as [], numbers may be texts, and there may be members that no server ever had. Where the
JSON of `job` is none, the columns `command` and `params` say what was to be done.
"""

import shlex
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from queue_server.domain.checks import problems_of
from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.job import COMMAND_MEMBERS, JobRequest
from queue_server.domain.reading import read_request
from queue_server.store.first_table import FirstRow

OBJECTS = frozenset({"params", "headers", "env", "tags"})
DROPPED = frozenset({"priority", "context"})
"""Members of the JSON that are columns, too: those say what was true at last."""

_MEMBERS = frozenset(JobRequest.__struct_fields__) - DROPPED
_COMMANDS: Mapping[str, type[HttpCommand | ExecCommand]] = {"http": HttpCommand, "exec": ExecCommand}
Members = Mapping[str, Any]


class Read(msgspec.Struct, frozen=True):
    """A request, and in what way it is not what the row said, in words."""

    request: JobRequest
    remark: str = ""


def read_first(row: FirstRow) -> Read:
    """What the row asks for; InvalidJob if that can't be known."""
    if row.job and row.job.strip():
        try:
            return Read(read_request(row.job.encode("utf-8", "replace")))
        except InvalidJob as strict:
            try:
                return _lenient(_object(row.job))
            except InvalidJob:
                if not (row.command and row.command.strip()):
                    raise strict from None
    return _of_columns(row)


def _object(text: str) -> Members:
    """The JSON object in a text, or in the JSON text in it."""
    try:
        value: Any = msgspec.json.decode(text)
        value = msgspec.json.decode(value) if isinstance(value, str) else value
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _invalid(f"its job is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise _invalid("its job is no JSON object")
    return cast("Members", value)


def _lenient(members: Members) -> Read:
    dropped = [name for name in members if name not in _MEMBERS | DROPPED]
    kept = {name: value for name, value in members.items() if name in _MEMBERS and value is not None}
    for name in COMMAND_MEMBERS:
        if name in kept:
            kept[name], more = _command(kept[name])
            dropped += [f"{name}.{member}" for member in more]
    kept = {name: value for name, value in kept.items() if value}
    try:
        request = msgspec.json.decode(msgspec.json.encode(kept), type=JobRequest, strict=False)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _invalid(f"its job can't be read: {error}") from None
    if problems := problems_of(request):
        raise InvalidJob(problems)
    return Read(request, f"left out: {', '.join(dropped)}" if dropped else "read leniently")


def _command(value: Any) -> tuple[Members, list[str]]:
    """A command without what commands don't have; the names of that."""
    if not isinstance(value, dict):
        return {}, []
    given = cast("Members", value)
    kind = given.get("type") or ("http" if "url" in given else "exec")
    if kind not in _COMMANDS:
        raise _invalid(f"a command of type {kind!r} is not known")
    known = {*_COMMANDS[kind].__struct_fields__, "type"}
    kept: dict[str, Any] = {
        name: None if name in OBJECTS and member == [] else member
        for name, member in given.items()
        if name in known and member is not None
    }
    return {**kept, "type": kind}, [name for name in given if name not in known]


def _of_columns(row: FirstRow) -> Read:
    command, params = (row.command or "").strip(), (row.params or "").strip()
    if not command:
        raise _invalid("it has neither a job nor a command")
    if command in _COMMANDS or command.startswith("{"):
        members: Members = {**_object(params), "type": command} if command in _COMMANDS else _object(command)
    elif command.lower().startswith(("http://", "https://")):
        members = {"type": "http", "url": command, "params": _params(params)}
    else:
        members = {"type": "exec", "cmd": f"{command} {_arguments(params)}".strip()}
    return msgspec.structs.replace(_lenient({"command": members}), remark="read from its command and params")


def _params(text: str) -> Members:
    """Params as JSON, or as a query."""
    try:
        return _object(text)
    except InvalidJob:
        return dict(parse_qsl(text, keep_blank_values=True))


def _arguments(text: str) -> str:
    """A JSON list as quoted arguments; any other text is what stood behind the command."""
    try:
        values: Any = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text
    return shlex.join(map(str, cast("list[object]", values))) if isinstance(values, list) else text


def _invalid(why: str) -> InvalidJob:
    return InvalidJob([Problem("", why)])
