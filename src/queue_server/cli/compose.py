"""From the options of `add` to the JSON of a job. What the values mean is for the server to check."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec
from msgspec import Raw


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `add`, as given. None or empty means not given."""

    method: str | None = None
    params: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    json: str | None = None
    body: str | None = None
    timeout: float | None = None
    priority: int | None = None
    context: str | None = None
    delay: float | None = None
    run_at: str | None = None
    max_attempts: int | None = None
    callback_done: str | None = None
    callback_failed: str | None = None


OF_REQUESTS = ("method", "params", "headers", "json", "body")
FLAGS = {"params": "--param", "headers": "--header"}
"""Options whose flag is not their name."""


def url_job(url: str, options: JobOptions) -> bytes:
    """A job that requests the URL."""
    command: dict[str, Any] = {
        "type": "http",
        "url": url,
        "method": options.method,
        "params": _params(options.params),
        "headers": dict(_header(header) for header in options.headers),
        "json": _json(options.json),
        "body": options.body,
        "timeout": options.timeout,
    }
    return _job(command, options)


def exec_job(arguments: Sequence[str], options: JobOptions) -> bytes:
    """A job that runs the program with its arguments, without a shell."""
    refuse(options, "belongs to a URL; a command has no such option", OF_REQUESTS)
    return _job({"type": "exec", "args": list(arguments), "timeout": options.timeout}, options)


def refuse(options: JobOptions, why: str, names: Sequence[str] = JobOptions.__struct_fields__) -> None:
    """A usage error if one of these options was given; of any of them, if none are named."""
    for name in names:
        if getattr(options, name) not in (None, ()):
            raise click.UsageError(f"{flag(name)} {why}.")


def flag(name: str) -> str:
    """The flag of an option."""
    return FLAGS.get(name, "--" + name.replace("_", "-"))


def _job(command: dict[str, Any], options: JobOptions) -> bytes:
    attempts = options.max_attempts
    members: dict[str, Any] = {
        "command": _given(command),
        "priority": options.priority,
        "context": options.context,
        "delay": options.delay,
        "run_at": options.run_at,
        "retry": None if attempts is None else {"max_attempts": attempts},
        "callback_done": _callback(options.callback_done),
        "callback_failed": _callback(options.callback_failed),
    }
    return msgspec.json.encode(_given(members))


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None and value != {}}


def _callback(url: str | None) -> dict[str, str] | None:
    return None if url is None else {"type": "http", "url": url}


def _params(texts: Sequence[str]) -> dict[str, str | list[str]]:
    """`a=1` as a member; a name that comes twice becomes a list."""
    values: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.UsageError(f"--param {text!r} must be NAME=VALUE.")
        values.setdefault(name, []).append(value)
    return {name: items[0] if len(items) == 1 else items for name, items in values.items()}


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (name.strip() and colon):
        raise click.UsageError(f"--header {text!r} must be 'Name: value'.")
    return name.strip(), value.strip()


def _json(text: str | None) -> Raw | None:
    """The text as it was written, so that its numbers stay as they are."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Raw)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--json is not JSON: {str(error).removeprefix('JSON is malformed: ')}.") from None
