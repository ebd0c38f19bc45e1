"""From the options of `add` to the JSON of a job. What the values mean is for the server to check."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec
from msgspec import Raw

from queue_server.cli.job_options import deadline


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `add`, as given. None or empty means not given."""

    method: str | None = None
    params: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    json: str | None = None
    body: str | None = None
    named: str | None = None
    arguments: tuple[str, ...] = ()
    cwd: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    timeout: float | None = None
    queue: str | None = None
    key: str | None = None
    priority: int | None = None
    context: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    delay: float | None = None
    run_at: str | None = None
    ttl: float | None = None
    expires_at: str | None = None
    deadline: str | None = None
    retention: float | None = None
    max_attempts: int | None = None
    retry_on: str | None = None
    max_duration: float | None = None
    callback_done: str | None = None
    callback_failed: str | None = None


OF_REQUESTS = ("method", "params", "headers", "json", "body")
OF_COMMANDS = ("cwd", "env")
OF_NAMED = ("named", "arguments")
OF_RETRY = ("max_attempts", "retry_on", "max_duration")
PLAIN = ("timeout", "queue", "key", "priority", "context", "delay", "run_at", "ttl", "expires_at", "retention")
FLAGS = {"params": "--param", "arguments": "--argument", "headers": "--header", "tags": "--tag"}
"""Options whose flag is not their name."""


def url_job(url: str, options: JobOptions) -> bytes:
    """A job that requests the URL."""
    refuse(options, "belongs to a command; a URL has no such option", (*OF_COMMANDS, *OF_NAMED))
    return _job(
        options,
        url=url,
        method=options.method,
        params=_params(options.params) or None,
        headers=dict(_header(header) for header in options.headers) or None,
        json=_json(options.json),
        body=options.body,
    )


def exec_job(arguments: Sequence[str], options: JobOptions) -> bytes:
    """A job that runs the program with its arguments, without a shell."""
    refuse(options, "belongs to a URL; a command has no such option", OF_REQUESTS)
    refuse(options, "belongs to a command of the server's settings file (--named)", OF_NAMED)
    return _job(options, args=list(arguments), cwd=options.cwd, env=dict(options.env) or None)


def named_job(name: str, options: JobOptions) -> bytes:
    """A job that runs a command which the server's settings file names."""
    refuse(options, "belongs to a URL; a command has no such option", OF_REQUESTS)
    arguments = dict(_argument(text) for text in options.arguments) or None
    return _job(options, name=name, arguments=arguments, cwd=options.cwd, env=dict(options.env) or None)


def refuse(options: JobOptions, why: str, names: Sequence[str] = JobOptions.__struct_fields__) -> None:
    """A usage error if one of these options was given; of any of them, if none are named."""
    for name in names:
        if getattr(options, name) not in (None, ()):
            raise click.UsageError(f"{flag(name)} {why}.")


def flag(name: str) -> str:
    """The flag of an option."""
    return FLAGS.get(name, "--" + name.replace("_", "-"))


def _job(options: JobOptions, **command: Any) -> bytes:
    from queue_server.client.composing import encode, job_of

    retry = {name: value for name in OF_RETRY if (value := getattr(options, name)) is not None}
    members = {
        **command,
        **{name: getattr(options, name) for name in PLAIN},
        "tags": dict(options.tags) or None,
        "deadline": deadline(options.deadline),
        "retry": retry or None,
        "callback_done": options.callback_done,
        "callback_failed": options.callback_failed,
    }
    return encode(job_of(members))


def _params(texts: Sequence[str]) -> dict[str, str | list[str]]:
    """`a=1` as a member; a name that comes twice becomes a list."""
    values: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.UsageError(f"--param {text!r} must be NAME=VALUE.")
        values.setdefault(name, []).append(value)
    return {name: items[0] if len(items) == 1 else items for name, items in values.items()}


def _argument(text: str) -> tuple[str, str | Raw]:
    """`a=1` as a text, `a:=1` as the JSON that it is."""
    name, equals, value = text.partition("=")
    if not (name.rstrip(":") and equals):
        raise click.UsageError(f"--argument {text!r} must be NAME=VALUE, or NAME:=JSON.")
    if not name.endswith(":"):
        return name, value
    return name.removesuffix(":"), _json_of(value, "--argument")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (name.strip() and colon):
        raise click.UsageError(f"--header {text!r} must be 'Name: value'.")
    return name.strip(), value.strip()


def _json(text: str | None) -> Raw | None:
    """The text as it was written, so that its numbers stay as they are."""
    return None if text is None else _json_of(text, "--json")


def _json_of(text: str, option: str) -> Raw:
    try:
        return msgspec.json.decode(text, type=Raw)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"{option} is not JSON: {str(error).removeprefix('JSON is malformed: ')}.") from None
