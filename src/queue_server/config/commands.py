"""The tables `[commands.NAME]` of the settings file: commands that jobs may run by their name."""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from queue_server.config.complaints import did_you_mean
from queue_server.config.files import table_line
from queue_server.config.origin import Given, Origin
from queue_server.config.units import parse_duration, parse_size
from queue_server.domain.checks import is_loader_variable
from queue_server.domain.errors import InvalidSetting
from queue_server.domain.named import NAME, NamedCommand, Parameter, table_problem

_UNITS = {"timeout": parse_duration, "cpu": parse_duration, "memory": parse_size, "file_size": parse_size}
_TYPES = "text, integer, number, choice, path, flag"


def read_commands(given: Given, text: str) -> tuple[dict[str, NamedCommand], dict[str, Origin]]:
    """The commands by name, and where each one is in the file; InvalidSetting, with its line, for one that is wrong."""
    if not isinstance(given.value, dict):
        raise InvalidSetting(f"setting commands from {given.origin}: must be tables such as [commands.thumbnail]")
    commands: dict[str, NamedCommand] = {}
    origins: dict[str, Origin] = {}
    for name, table in cast("dict[str, Any]", given.value).items():
        line = table_line("commands", name, text) or given.origin.line
        origins[name] = Origin("file", given.origin.place, line)
        try:
            commands[name] = _read(name, table)
        except ValueError as error:
            raise InvalidSetting(f"{origins[name]}: command {name}: {error}") from None
    return commands, origins


def _read(name: str, table: object) -> NamedCommand:
    """ValueError with the problem if the table is no command."""
    if not re.fullmatch(NAME, name):
        raise ValueError("its name must be 1 to 64 of letters, digits and the characters . _ -")
    if not isinstance(table, dict):
        raise ValueError("must be a table with args")  # noqa: TRY004 (a problem of the file, like the others)
    members = _without_units(cast("dict[str, Any]", table))
    if isinstance(parameters := members.get("parameters"), dict):
        for parameter, value in cast("dict[str, Any]", parameters).items():
            _convert(value, Parameter, f"parameters.{parameter}")
    command = _convert(members, NamedCommand, "")
    if problem := table_problem(command):
        raise ValueError(problem)
    for variable, value in command.env.items():
        if not variable or "=" in variable or "\0" in variable + value:
            raise ValueError(f"env: {variable!r} is not a name of an environment variable, or its value has a NUL")
    for variable in command.job_env:
        if is_loader_variable(variable):
            raise ValueError(
                f"job_env: {variable} can't be left to jobs: it would have programs load or run other code"
            )
    return command


def _convert(value: object, type_: Any, place: str) -> Any:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise ValueError(_words(str(error), place)) from None


def _without_units(table: Mapping[str, Any]) -> dict[str, Any]:
    members = dict(table)
    for name, parse in _UNITS.items():
        value = members.get(name)
        if isinstance(value, str):
            try:
                members[name] = parse(value)
            except ValueError:
                what = "a duration such as 90, 15m or 12h" if parse is parse_duration else "a size such as 512KiB"
                raise ValueError(f"{name}: {value!r} is not {what}") from None
    return members


def _words(message: str, above: str) -> str:
    """A decoder's complaint with its place in front, as the file would write it."""
    text, _, below = message.partition(" - at `$")
    place = (above + below.removesuffix("`").replace("[...]", "")).removeprefix(".")
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        hint = did_you_mean(match[1], NamedCommand.__struct_fields__) if not place else ""
        return f"{_join(place, match[1])} is unknown{hint}"
    if match := re.fullmatch(r"Object missing required field `(.*)`", text):
        return f"{_join(place, match[1])} is missing"
    if text.startswith("Invalid value") and place.endswith("type"):
        return f"{place} must be one of {_TYPES}"
    words = text.replace("`", "")
    return f"{place}: {words[0].lower()}{words[1:]}"


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
