"""What a job runs: an HTTP request, or a command on the server. These are wire types: their members are the API's.

Each constrained type carries `extra={"expected": …}`: the words in which a client is told what belongs there.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from queue_server.domain.secret import Text

Timeout = Annotated[
    float, Meta(gt=0, le=7 * 86_400, extra={"expected": "seconds, more than 0 and at most 604800 (7 days)"})
]
Url = Annotated[str, Meta(min_length=1, max_length=8192, extra={"expected": "a text of 1 to 8192 characters"})]
Program = Annotated[str, Meta(min_length=1, extra={"expected": "a text that is not empty"})]
Arguments = Annotated[
    list[str], Meta(min_length=1, max_length=10_000, extra={"expected": "a list of 1 to 10000 texts"})
]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
CommandName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
        extra={"expected": "1 to 64 of letters, digits and the characters . _ -"},
    ),
]
Argument = str | int | float | bool
NamedArguments = dict[str, Argument]
Sandbox = Literal["none", "bwrap", "required"]
Scalar = str | int | float | bool | None
Params = dict[str, Scalar | list[object] | dict[str, object]]

QUERY_METHODS = frozenset({"GET", "HEAD", "DELETE"})
"""Methods whose `params` go into the query; the others send them as a form body."""


class HttpCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="http"):
    """An HTTP request. `json` is kept as the bytes the client sent, so numbers of any size arrive unchanged."""

    url: Url
    method: Method | None = None
    timeout: Timeout | None = None
    params: Params | None = None
    headers: dict[str, Text] | None = None
    json: Raw | UnsetType = UNSET
    body: Text | None = None
    body_base64: str | None = None
    expect: str | int | None = None

    @property
    def effective_method(self) -> str:
        """The method that is sent: POST when there is a json, body or body_base64 and none was named."""
        if self.method:
            return self.method
        has_body = self.json is not UNSET or self.body is not None or self.body_base64 is not None
        return "POST" if has_body else "GET"

    def __repr__(self) -> str:
        return f"HttpCommand({summary(self)})"


class ExecCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="exec"):
    """A command on the server: `cmd` runs through `/bin/sh -c`, `args` without one, `name` is of the settings."""

    cmd: Program | None = None
    args: Arguments | None = None
    cwd: Program | None = None
    env: dict[str, Text] | None = None
    stdin: Text | None = None
    timeout: Timeout | None = None
    expect: str | int | None = None
    name: CommandName | None = None
    arguments: NamedArguments | None = None

    def __repr__(self) -> str:
        return f"ExecCommand({summary(self)})"


class Unreadable(msgspec.Struct, frozen=True, tag="unreadable"):
    """Stands for a stored command that this version can't read; running it fails with `reason`."""

    reason: str


Command = HttpCommand | ExecCommand


def command_type(command: Command) -> Literal["http", "exec"]:
    """The command's `type` member, which is also the kind of slot it takes."""
    return "http" if isinstance(command, HttpCommand) else "exec"


def summary(command: Command | Unreadable) -> str:
    """The command in a few words for logs and lists: no query, no user info, no environment (secrets live there)."""
    match command:
        case HttpCommand():
            return f"{command.effective_method} {_host_and_path(command.url)}"
        case ExecCommand():
            return _shorten(command.cmd or command.name or " ".join(command.args or ()))
        case Unreadable():  # pragma: no branch
            return "unreadable command"


def _host_and_path(url: str) -> str:
    rest = url.partition("://")[2].partition("?")[0].partition("#")[0]
    authority, slash, path = rest.partition("/")
    return _shorten(authority.rpartition("@")[2] + slash + path)


def _shorten(text: str, limit: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
