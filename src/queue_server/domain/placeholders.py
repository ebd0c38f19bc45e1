"""Placeholders in commands: __JOBID__, __ATTEMPT__, __CONTEXT__, and in callbacks __STATE__ and __EXITCODE__.

Each place has its own encoding: percent-encoded in urls, shell-quoted in `cmd`, escaped in JSON, plain elsewhere.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw

from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.job import Job
from queue_server.domain.secret import Text, is_meant_as_secret

MARK = "__"
"""Every placeholder starts and ends with it; a text without it has none."""

_NAMES = r"__(?:JOBID|ATTEMPT|CONTEXT|STATE|EXITCODE)__"
_PLACEHOLDER = re.compile(_NAMES)
_SHELL_TOKEN = re.compile(rf"{_NAMES}|\\?['\"]|\\\\")

Values = Mapping[str, str]


def values_for(job: Job) -> Values:
    """What the placeholders of this job's command stand for. A callback's are those of the job it reports."""
    report = job.plan.report
    if report is None:
        return {"__JOBID__": str(job.id), "__ATTEMPT__": str(job.attempt), "__CONTEXT__": job.context}
    return {
        "__JOBID__": str(report.job_id),
        "__ATTEMPT__": str(report.attempts),
        "__CONTEXT__": report.context,
        "__STATE__": str(report.state),
        "__EXITCODE__": "" if report.exit_code is None else str(report.exit_code),
    }


def has_placeholder(text: str) -> bool:
    """Whether something in it will be replaced when the job runs."""
    return MARK in text and _PLACEHOLDER.search(text) is not None


def fill_http(command: HttpCommand, values: Values) -> HttpCommand:
    """The command with every placeholder replaced."""
    changes: dict[str, Any] = {}
    if MARK in command.url:
        changes["url"] = _replace(command.url, values, _percent_encode)
    if command.params:
        changes["params"] = _deep(command.params, values)
    if command.headers:
        changes["headers"] = {name: _replace_text(text, values) for name, text in command.headers.items()}
    if command.json is not UNSET and MARK.encode() in bytes(command.json):
        text = bytes(command.json).decode()
        changes["json"] = Raw(_replace(text, values, _json_escape).encode())
    if isinstance(command.body, str) and MARK in command.body:
        changes["body"] = _replace(command.body, values)
    return msgspec.structs.replace(command, **changes) if changes else command


def fill_exec(command: ExecCommand, values: Values) -> ExecCommand:
    """The command with every placeholder replaced."""
    changes: dict[str, Any] = {}
    variables: dict[str, str] = {}
    if command.cmd is not None and MARK in command.cmd:
        changes["cmd"], variables = _fill_shell(command.cmd, values)
    if command.args is not None and any(MARK in text for text in command.args):
        changes["args"] = [_replace(text, values) for text in command.args]
    if command.env or variables:
        changes["env"] = {name: _replace_text(text, values) for name, text in (command.env or {}).items()} | variables
    if command.arguments:
        changes["arguments"] = _deep(command.arguments, values)
    if isinstance(command.stdin, str) and MARK in command.stdin:
        changes["stdin"] = _replace(command.stdin, values)
    return msgspec.structs.replace(command, **changes) if changes else command


def _fill_shell(cmd: str, values: Values) -> tuple[str, dict[str, str]]:
    """The command line, and the variables that it now reads.

    A value that means nothing to a shell is written where it belongs. Any other is handed over in an environment
    variable, so that it stays data even where the quotes around it are nested too deeply to be understood here.
    """
    variables: dict[str, str] = {}
    quote = ""

    def fill(token: re.Match[str]) -> str:
        nonlocal quote
        text = token[0]
        if text in values:
            return _shell_text(text, values[text], quote, variables)
        mark = text[-1] if quote == "'" else text  # within single quotes a backslash escapes nothing
        if mark == quote:
            quote = ""
        elif not quote and mark in ("'", '"'):
            quote = mark
        return text

    return _SHELL_TOKEN.sub(fill, cmd), variables


def _shell_text(name: str, value: str, quote: str, variables: dict[str, str]) -> str:
    if shlex.quote(value) == value:
        return value
    variables[name] = value
    return {"": f'"${name}"', '"': f"${{{name}}}", "'": f"""'"${name}"'"""}[quote]


def _replace(text: str, values: Values, encode: Callable[[str], str] = str) -> str:
    if MARK not in text:
        return text
    return _PLACEHOLDER.sub(lambda name: encode(values[name[0]]) if name[0] in values else name[0], text)


def _replace_text(text: Text, values: Values) -> Text:
    """The text with its placeholders replaced. Secrets stay as they are."""
    return _replace(text, values) if isinstance(text, str) else text


def _deep(value: Any, values: Values) -> Any:
    if isinstance(value, str):
        return _replace(value, values)
    if is_meant_as_secret(value):
        return value
    if isinstance(value, dict):
        return {key: _deep(item, values) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_deep(item, values) for item in cast("list[Any]", value)]
    return value


def _percent_encode(text: str) -> str:
    return quote(text, safe="")


def _json_escape(text: str) -> str:
    return msgspec.json.encode(text)[1:-1].decode()
