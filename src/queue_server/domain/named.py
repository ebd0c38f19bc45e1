"""Commands that the settings file names: what their arguments may be, and the program that they become.

A job says the command's name and a value for each parameter. A value fills its place within one argument of the
program and nothing else: there is no shell, no splitting, and none may look like an option unless the table says so.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated

import msgspec
from msgspec import Meta

from queue_server.domain.checks import escape_pointer
from queue_server.domain.command import Argument, ExecCommand, Sandbox
from queue_server.domain.errors import Problem
from queue_server.domain.placeholders import has_placeholder

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a command's name looks like."""

NO_ARGUMENTS: Mapping[str, Argument] = {}
_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}|[{}]")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_LOW, _HIGH = -(2**63), 2**63 - 1

Seconds = Annotated[float, Meta(gt=0, le=7 * 86_400)]
Count = Annotated[int, Meta(ge=1, le=2**31)]
Size = Annotated[int, Meta(ge=1, le=2**62)]


class TextParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="text"):
    """Any text, or one that `pattern` matches from its first to its last character.

    Here as in the others, a value may begin with a minus sign only with `dash`.
    """

    pattern: str | None = None
    max_length: Annotated[int, Meta(ge=1, le=100_000)] = 1024
    default: str | None = None
    dash: bool = False


class IntegerParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="integer"):
    """A whole number. A job may give it as a placeholder, such as `__JOBID__`."""

    min: int = _LOW
    max: int = _HIGH
    default: int | None = None
    dash: bool = False


class NumberParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="number"):
    """A number."""

    min: float = -1e308
    max: float = 1e308
    default: float | None = None
    dash: bool = False


class ChoiceParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="choice"):
    """One of these texts."""

    choices: Annotated[list[str], Meta(min_length=1)]
    default: str | None = None
    dash: bool = False


class PathParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="path"):
    """An absolute path below the folder `within`, also once its symbolic links are followed."""

    within: Annotated[str, Meta(pattern="^/")]
    default: str | None = None
    dash: bool = False


class FlagParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="flag"):
    """True or false: whether the argument that is this parameter is there, and then it is `value`."""

    value: str
    default: bool = False
    dash: bool = False


Parameter = TextParameter | IntegerParameter | NumberParameter | ChoiceParameter | PathParameter | FlagParameter


class NamedCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the settings file. What it leaves open is as the settings `exec_…` say.

    A job may give `stdin` where that is true, the variables that `job_env` names, and a cwd below `job_cwd`.
    `writable` are folders that the command may write to in its sandbox, besides its `cwd`.
    """

    args: Annotated[list[str], Meta(min_length=1, max_length=10_000)]
    parameters: dict[str, Parameter] = {}
    run_as: str | None = None
    timeout: Seconds | None = None
    cwd: Annotated[str, Meta(pattern="^/")] | None = None
    env: dict[str, str] = {}
    memory: Size | None = None
    cpu: Seconds | None = None
    files: Count | None = None
    processes: Count | None = None
    file_size: Size | None = None
    sandbox: Sandbox | None = None
    writable: list[Annotated[str, Meta(pattern="^/")]] = []
    stdin: bool = False
    job_env: list[str] = []
    job_cwd: Annotated[str, Meta(pattern="^/")] | None = None


def table_problem(command: NamedCommand) -> str | None:
    """What is wrong with a table whose members have the right types; None if nothing is."""
    try:
        return next(_table_problems(command), None)
    except ValueError as error:
        return f"args: {error}"


def _table_problems(command: NamedCommand) -> Iterator[str]:
    used = {name for element in command.args for name in _names_in(element)}
    if not command.args[0] or [*_names_in(command.args[0])]:
        yield "args: the first is the program, and can't be empty or come from a parameter"
    for name in used - command.parameters.keys():
        yield f"args: there is no parameter {name} for {{{name}}}"
    for name, parameter in command.parameters.items():
        if name not in used:
            yield f"parameters.{name} is used nowhere in args; write {{{name}}} where it belongs"
        elif problem := _place_problem(name, parameter, command.args) or _parameter_problem(parameter):
            yield f"parameters.{name}: {problem}"


def _place_problem(name: str, parameter: Parameter, args: Sequence[str]) -> str | None:
    """What is wrong with where the parameter stands."""
    places = [element for element in args if name in _names_in(element)]
    if isinstance(parameter, FlagParameter) and any(element != f"{{{name}}}" for element in places):
        return f"it is a flag, so {{{name}}} must be an argument of its own"
    is_free = isinstance(parameter, TextParameter) and parameter.pattern is None
    if is_free and any("/" in element for element in places):
        return "it becomes part of a path, where ../ would lead elsewhere; give it a pattern"
    return None


def call_problems(name: str, named: NamedCommand, command: ExecCommand, path: str) -> Iterator[Problem]:
    """What is wrong with a job's call of a named command; values with placeholders are looked at again when it runs."""
    for member, given, has in (
        ("cwd", command.cwd, named.job_cwd is not None),
        ("stdin", command.stdin, named.stdin),
    ):
        if given is not None and not has:
            table_member = "job_cwd" if member == "cwd" else member
            yield Problem(f"{path}/{member}", f"the table of {name} does not let jobs give it (member {table_member})")
    if command.cwd is not None and named.job_cwd is not None and (wrong := _path_problem(named.job_cwd, command.cwd)):
        yield Problem(f"{path}/cwd", wrong)
    for variable in command.env or ():
        if variable not in named.job_env:
            where = f"{path}/env/{escape_pointer(variable)}"
            yield Problem(where, f"the table of {name} does not let jobs give it (member job_env)")
    if named.timeout is not None and command.timeout is not None and command.timeout > named.timeout:
        yield Problem(f"{path}/timeout", f"must be at most {named.timeout:g}, the timeout of {name}")
    yield from argument_problems(name, named, command.arguments or NO_ARGUMENTS, path)


def argument_problems(name: str, named: NamedCommand, given: Mapping[str, Argument], path: str) -> Iterator[Problem]:
    """What is wrong with the arguments."""
    for argument in given:
        if argument not in named.parameters:
            known = ", ".join(named.parameters) or "none"
            where = f"{path}/arguments/{escape_pointer(argument)}"
            yield Problem(where, f"is not a parameter of {name}; known are: {known}")
    for argument, parameter in named.parameters.items():
        where = f"{path}/arguments/{argument}"
        if argument not in given:
            if parameter.default is None:
                yield Problem(where, f"is required by {name}")
        elif problem := _value_problem(parameter, given[argument]):
            yield Problem(where, problem)


def program_of(named: NamedCommand, given: Mapping[str, Argument]) -> list[str]:
    """The program and its arguments, for arguments without a problem."""
    texts = {
        name: _text_of(parameter, given.get(name, parameter.default)) for name, parameter in named.parameters.items()
    }
    return [filled for element in named.args if (filled := _filled(element, texts)) is not None]


def _names_in(element: str) -> Iterator[str]:
    for piece in _PIECE.finditer(element):
        if piece[0] in ("{", "}"):
            raise ValueError(f"{element!r} has a single {piece[0]}; write {piece[0] * 2} for the character itself")
        if piece[1]:
            yield piece[1]


def _only_name(element: str) -> tuple[str] | None:
    whole = _PIECE.fullmatch(element)
    return (whole[1],) if whole and whole[1] else None


def _filled(element: str, texts: Mapping[str, str | None]) -> str | None:
    """The element with its values; None for that of a flag which is not set."""
    if (only := _only_name(element)) is not None:
        return texts[only[0]]
    return _PIECE.sub(lambda piece: texts[piece[1]] or "" if piece[1] else piece[0][0], element)


def _text_of(parameter: Parameter, value: Argument | None) -> str | None:
    if isinstance(parameter, FlagParameter):
        return parameter.value if value else None
    return value if isinstance(value, str) else repr(value)


def _parameter_problem(parameter: Parameter) -> str | None:
    if isinstance(parameter, TextParameter) and parameter.pattern is not None:
        try:
            _compiled(parameter.pattern)
        except (re.error, OverflowError) as error:
            return f"pattern is no regular expression: {error}"
    if isinstance(parameter, PathParameter) and os.path.normpath(parameter.within) != parameter.within:
        return f"within must be a normalised path: {os.path.normpath(parameter.within)}"
    if isinstance(parameter, IntegerParameter | NumberParameter) and parameter.min > parameter.max:
        return "min must not be greater than max"
    if parameter.default is None:
        return None
    problem = _value_problem(parameter, parameter.default)
    return f"default {problem}" if problem else None


def _value_problem(parameter: Parameter, value: Argument) -> str | None:
    """What is wrong with a value, in words that complete a sentence about it."""
    is_open = isinstance(value, str) and has_placeholder(value)
    problem = _kind_problem(parameter, value, is_open=is_open)
    if problem is None and not parameter.dash and str(value)[:1] == "-":
        return "must not begin with a minus sign: a program could take it for an option"
    return problem


def _kind_problem(parameter: Parameter, value: Argument, *, is_open: bool) -> str | None:
    match parameter:
        case TextParameter():
            return _text_problem(parameter, value, is_open=is_open)
        case IntegerParameter():
            return None if is_open else _integer_problem(parameter, value)
        case NumberParameter():
            return _number_problem(parameter, value)
        case ChoiceParameter():
            is_one = is_open or value in parameter.choices
            return None if isinstance(value, str) and is_one else f"must be one of {', '.join(parameter.choices)}"
        case PathParameter():
            return _path_problem(parameter.within, value)
        case FlagParameter():  # pragma: no branch
            return None if isinstance(value, bool) else "must be true or false"


def _text_problem(parameter: TextParameter, value: Argument, *, is_open: bool) -> str | None:
    if not isinstance(value, str):
        return "must be a text"
    if "\0" in value:
        return "must not contain NUL characters: no program can receive them"
    if is_open:
        return None
    if len(value) > parameter.max_length:
        return f"must be a text of at most {parameter.max_length} characters"
    if parameter.pattern is not None and not _compiled(parameter.pattern).fullmatch(value):
        return f"does not match the pattern {parameter.pattern}"
    return None


def _integer_problem(parameter: IntegerParameter, value: Argument) -> str | None:
    number = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
    if not isinstance(number, int) or isinstance(number, bool):
        return "must be a whole number"
    if not parameter.min <= number <= parameter.max:
        return f"must be a whole number from {parameter.min} to {parameter.max}"
    return None


def _number_problem(parameter: NumberParameter, value: Argument) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "must be a number"
    if not parameter.min <= value <= parameter.max:
        return f"must be a number from {parameter.min:g} to {parameter.max:g}"
    return None


def _path_problem(within: str, value: Argument) -> str | None:
    if not isinstance(value, str) or not value.startswith("/"):
        return "must be an absolute path"
    if "\0" in value:
        return "must not contain NUL characters: no program can receive them"
    if os.path.normpath(value) != value:
        return "must be a normalised path, without .., . and repeated or closing slashes"
    return None if is_within(within, value) else f"must be a path within {within}"


def is_within(folder: str, path: str) -> bool:
    """Whether the path is the folder or below it, as far as its text tells."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
