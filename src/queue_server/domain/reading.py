"""From a client's bytes to a JobRequest, or to every error that is in them.

The fast way is one typed decode. Only when that fails are the bytes read again, member by member, so that a client
hears of all its mistakes at once. Members are kept as raw JSON until their own type is known: a number that no float
can hold inside `json` is no mistake.
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, UnsetType

from queue_server.domain.checks import (
    Times,
    command_problems,
    escape_pointer,
    problems_of,
    retry_problems,
    secret_problems,
    tag_problems,
    time_problems,
)
from queue_server.domain.command import Argument, ExecCommand, HttpCommand, NamedArguments
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.expect import EXIT_RANGE, HTTP_RANGE
from queue_server.domain.job import TAG_LIMIT, JobRequest, Tags
from queue_server.domain.retry import RetryWish
from queue_server.domain.secret import Secret, Text

T = TypeVar("T", bound=msgspec.Struct)

_decode_request = msgspec.json.Decoder(JobRequest).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode

_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F])|.)", re.DOTALL)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LOOKED_AT = 1000
"""Texts of an object whose own mistakes are looked for: of more than these nobody reads a list."""

_COMMANDS = ("command", "callback_done", "callback_failed")
_OBJECTS = (*_COMMANDS, "retry", "tags")
TEXTS = dict[str, Text] | None
TEXT = Text | None
ARGUMENTS = NamedArguments | None
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


class _WithType(msgspec.Struct):
    type: str = ""


def read_request(body: bytes | memoryview) -> JobRequest:
    """The job in `body`, whatever its Content-Type says; InvalidJob with all problems if it is none."""
    body = bytes(body).removeprefix(_BYTE_ORDER_MARK)
    try:
        str(body, "utf-8")  # `json` is kept raw, where the decoder does not look at the encoding
        request = _decode_request(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidJob(list(_all_problems(body)) or [Problem("", f"can't be read: {error}")]) from None
    if problems := problems_of(request):
        raise InvalidJob(problems)
    return request


def read_object(body: bytes) -> dict[str, Raw]:
    """The members of a JSON object; InvalidJob if the body is none."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        str(body, "utf-8")
        return _decode_object(body)
    except msgspec.ValidationError:
        raise InvalidJob([Problem("", "must be a JSON object")]) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidJob([*_syntax_problems(body)] or [Problem("", f"can't be read: {error}")]) from None


def read_as(body: bytes, struct: type[T]) -> T:
    """A request's body as a struct; InvalidJob with a problem for each member that is unknown, missing or wrong."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        str(body, "utf-8")
        return msgspec.json.decode(body, type=struct)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        members = read_object(body)
        problems = [*unknown_members(members, struct, "")]
        for field in msgspec.structs.fields(struct):
            where = f"/{field.name}"
            if field.name in members:
                problems += _value_problems(members[field.name], field.type, where)
            elif field.required:
                problems.append(Problem(where, "is required"))
        raise InvalidJob(problems or [Problem("", f"can't be read: {error}")]) from None


def _all_problems(text: bytes) -> Iterator[Problem]:
    if not text.strip():
        yield Problem("", 'the body is empty; send a JSON object such as {"command":{"type":"http","url":"…"}}')
    elif problems := [*_syntax_problems(text)]:
        yield from problems
    else:
        yield from _request_problems(text)


def _syntax_problems(text: bytes) -> Iterator[Problem]:
    try:
        str(text, "utf-8")
        msgspec.json.decode(text, type=Raw)
    except UnicodeDecodeError as error:
        yield Problem("", f"the body is not valid UTF-8 (byte {error.start})")
    except RecursionError:
        yield Problem("", "the JSON is nested too deeply")
    except msgspec.DecodeError as error:
        yield Problem("", _syntax_message(text, error))


def _syntax_message(body: bytes, error: Exception) -> str:
    if "surrogate" in str(error) or any(escape["half"] for escape in _ESCAPE.finditer(body)):
        return "a text contains half a surrogate pair (\\ud800 to \\udfff), which is no character"
    if "truncated" in str(error):
        return "the JSON ends too early"
    return f"the body is not JSON: {str(error).removeprefix('JSON is malformed: ')}"


def _request_problems(body: bytes) -> Iterator[Problem]:
    try:
        members = _decode_object(body)
    except msgspec.ValidationError:
        yield Problem("", "must be a JSON object")
        return
    yield from unknown_members(members, JobRequest, "")
    is_exec = _is_exec(members)
    types = {field.name: field.type for field in msgspec.structs.fields(JobRequest)}
    for name in _COMMANDS:
        if name in members and not (name != "command" and bytes(members[name]) == b"null"):
            yield from _command_problems(members.pop(name), f"/{name}")
        elif name == "command":
            yield Problem("/command", "is required")
    for name in [name for name in types if name in members and name not in _OBJECTS]:
        yield from _value_problems(members[name], types[name], f"/{name}")
    codes = EXIT_RANGE if is_exec else HTTP_RANGE
    yield from _struct_problems(members.get("retry"), RetryWish, "/retry", partial(retry_problems, codes=codes))
    yield from _tag_problems(members.get("tags"))
    yield from time_problems(_times(members, types))


def _is_exec(members: dict[str, Raw]) -> bool:
    try:
        return msgspec.json.decode(members["command"], type=_WithType).type == "exec"
    except (KeyError, msgspec.DecodeError):
        return False


def _times(members: dict[str, Raw], types: dict[str, Any]) -> Times:
    given = [name for name in Times.__struct_fields__ if name in members]
    return Times(
        **{
            name: msgspec.json.decode(members[name], type=types[name])
            for name in given
            if not [*_value_problems(members[name], types[name], "")]
        }
    )


def _tag_problems(raw: Raw | None) -> Iterator[Problem]:
    if raw is None or bytes(raw) == b"null":
        return
    texts = _decode_object(raw) if _is_object(raw) else {}
    if not texts or len(texts) > TAG_LIMIT:
        yield from _value_problems(raw, Tags, "/tags")
    sound: dict[str, str] = {}
    for name, text in islice(texts.items(), LOOKED_AT):
        if wrong := [*_value_problems(text, str, _join("/tags", name))]:
            yield from wrong
        else:
            sound[name] = msgspec.json.decode(text, type=str)
    yield from tag_problems(sound)


def _command_problems(raw: Raw, path: str) -> Iterator[Problem]:
    try:
        members = _decode_object(raw)
    except msgspec.ValidationError:
        yield Problem(path, "must be an object with a type, http or exec")
        return
    try:
        kind = msgspec.json.decode(members.get("type", Raw(b"null")), type=str)
    except msgspec.ValidationError:
        kind = None
    struct: type[HttpCommand | ExecCommand]
    match kind:
        case "http":
            struct = HttpCommand
        case "exec":
            struct = ExecCommand
        case _:
            yield Problem(
                f"{path}/type",
                'must be "http" or "exec"' if "type" in members else "is required: http or exec",
            )
            return
    yield from _struct_problems(raw, struct, path, partial(command_problems, path=path))


def _struct_problems(raw: Raw | None, struct: type[Any], path: str, check: Any) -> Iterator[Problem]:
    """Problems of one object: of its members' types, and of its rules as far as the members that are right tell."""
    if raw is None or bytes(raw) == b"null":
        return
    try:
        members = _decode_object(raw)
    except msgspec.ValidationError:
        yield Problem(path, "must be an object")
        return
    kind = members.pop("type", None) if struct.__struct_config__.tag else None
    wrong = [*unknown_members(members, struct, path)]
    sound: dict[str, Any] = {} if kind is None else {"type": kind}
    for field in msgspec.structs.fields(struct):
        where = f"{path}/{field.name}"
        if field.name not in members:
            wrong += [Problem(where, "is required")] if field.required else []
        elif field.type == TEXTS and _is_object(members[field.name]):
            texts = dict(islice(_decode_object(members[field.name]).items(), LOOKED_AT))
            wrong += [p for name, text in texts.items() for p in _text_problems(text, _join(where, name))]
            sound[field.name] = {name: text for name, text in texts.items() if not [*_text_problems(text, "")]}
        elif field.type == ARGUMENTS and _is_object(members[field.name]):
            values = dict(islice(_decode_object(members[field.name]).items(), LOOKED_AT))
            wrong += [p for name, value in values.items() for p in _value_problems(value, Argument, _join(where, name))]
        elif bad := [*_member_problems(members[field.name], field.type, where)]:
            wrong += bad
        else:
            sound[field.name] = members[field.name]
    yield from wrong
    try:
        ruled = check(msgspec.json.decode(msgspec.json.encode(sound), type=struct))
    except msgspec.ValidationError:
        return
    yield from (problem for problem in ruled if not (wrong and problem.path == path))


def unknown_members(members: dict[str, Raw], struct: type[Any], path: str) -> Iterator[Problem]:
    """A problem for each member that objects of this type do not have."""
    known = struct.__struct_fields__
    for name in members:
        if name not in known:
            yield Problem(f"{path}/{escape_pointer(name)}", f"is not a known member; known are {', '.join(known)}")


def _value_problems(raw: Raw, type_: Any, path: str) -> Iterator[Problem]:
    try:
        msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError as error:
        yield Problem(path, words_for(error, type_))


def _member_problems(raw: Raw, type_: Any, path: str) -> Iterator[Problem]:
    if type_ != TEXT:
        return _value_problems(raw, type_, path)
    return _text_problems(raw, path) if _is_object(raw) else _value_problems(raw, str | None, path)


def _text_problems(raw: Raw, path: str) -> Iterator[Problem]:
    """Problems of a text that may be a secret."""
    if _is_object(raw):
        yield from _struct_problems(raw, Secret, path, partial(secret_problems, path=path))
    else:
        yield from _value_problems(raw, str, path)


def _is_object(raw: Raw) -> bool:
    return bytes(raw).lstrip()[:1] == b"{"


def _join(path: str, name: str) -> str:
    return f"{path}/{escape_pointer(name)}"


def words_for(error: msgspec.ValidationError, type_: Any) -> str:
    """What is wrong with a value that is not of the type, in words that complete a sentence about it."""
    if expected := _expected(type_):
        return f"must be {expected}"
    text = str(error).partition(" - at ")[0]
    if match := re.fullmatch(r"Expected `([^`]+)`, got `(\w+)`", text):
        wanted = [_WORDS.get(word.strip(), word.strip()) for word in match[1].split("|") if word.strip() != "null"]
        return f"must be {' or '.join(wanted)}, not {_WORDS.get(match[2], match[2])}"
    if match := re.fullmatch(r"Invalid enum value (.+)", text):
        return f"{match[1]} is not one of the allowed values: {', '.join(map(str, _choices(type_)))}"
    return text


def _expected(type_: Any) -> str | None:
    """The words that a constrained type carries for its users (Meta.extra), also inside a union."""
    parts = (type_, *getattr(type_, "__args__", ()))
    metas = (meta for part in parts for meta in getattr(part, "__metadata__", ()))
    return next((meta.extra["expected"] for meta in metas if meta.extra), None)


def _choices(type_: Any) -> Iterator[Any]:
    for part in getattr(type_, "__args__", ()):
        if getattr(part, "__args__", None):
            yield from _choices(part)
        elif part not in (type(None), UnsetType):
            yield part
