"""Placeholders in commands: __JOBID__, __ATTEMPT__, __CONTEXT__, and in callbacks __STATE__ and __EXITCODE__.

Each place has its own encoding: percent-encoded in urls, shell-quoted in `cmd`, escaped in JSON, plain elsewhere.
"""

import shlex
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw

from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.job import Job

MARK = "__"
"""Every placeholder starts and ends with it; a text without it has none."""

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


def has_placeholders(command: HttpCommand) -> bool:
    """Whether `fill_http` may change anything. Cheap, and true rather too often than too seldom."""
    return (
        MARK in command.url
        or (command.params is not None and MARK in str(command.params))
        or (command.headers is not None and MARK in str(command.headers))
        or (command.json is not UNSET and MARK.encode() in bytes(command.json))
        or (command.body is not None and MARK in command.body)
    )


def fill_http(command: HttpCommand, values: Values) -> HttpCommand:
    """The command with every placeholder replaced; the same object where there is none."""
    changes: dict[str, Any] = {}
    if MARK in command.url:
        changes["url"] = _replace(command.url, values, _percent_encode)
    if command.params:
        changes["params"] = _deep(command.params, values)
    if command.headers:
        changes["headers"] = {name: _replace(text, values) for name, text in command.headers.items()}
    if command.json is not UNSET and MARK.encode() in bytes(command.json):
        text = bytes(command.json).decode()
        changes["json"] = Raw(_replace(text, values, _json_escape).encode())
    if command.body is not None and MARK in command.body:
        changes["body"] = _replace(command.body, values)
    return msgspec.structs.replace(command, **changes) if changes else command


def fill_exec(command: ExecCommand, values: Values) -> ExecCommand:
    """The command with every placeholder replaced; the same object where there is none."""
    changes: dict[str, Any] = {}
    if command.cmd is not None and MARK in command.cmd:
        changes["cmd"] = _replace(command.cmd, values, shlex.quote)
    if command.args is not None:
        changes["args"] = [_replace(text, values) for text in command.args]
    if command.env:
        changes["env"] = {name: _replace(text, values) for name, text in command.env.items()}
    if command.stdin is not None and MARK in command.stdin:
        changes["stdin"] = _replace(command.stdin, values)
    return msgspec.structs.replace(command, **changes) if changes else command


def _replace(text: str, values: Values, encode: Callable[[str], str] = str) -> str:
    if MARK not in text:
        return text
    for name, value in values.items():
        if name in text:
            text = text.replace(name, encode(value))
    return text


def _deep(value: Any, values: Values) -> Any:
    if isinstance(value, str):
        return _replace(value, values)
    if isinstance(value, dict):
        return {key: _deep(item, values) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_deep(item, values) for item in cast("list[Any]", value)]
    return value


def _percent_encode(text: str) -> str:
    return quote(text, safe="")


def _json_escape(text: str) -> str:
    return msgspec.json.encode(text)[1:-1].decode()
