"""Taking the secrets out of a job before it is stored, and putting them back when it is sent.

A stored command has `***` in the place of each secret, and the plan has the sealed texts beside it, by their JSON
pointers. So whatever shows a job shows nothing, and only who has the key can put the texts back.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import msgspec

from queue_server.domain.checks import escape_pointer
from queue_server.domain.command import Command, ExecCommand, HttpCommand, Unreadable
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.placeholders import MARK
from queue_server.domain.secret import MASK, MASKED, Sealer, Secret, Text, is_meant_as_secret

Change = Callable[[str, Secret], Text]
"""From a place in a command, a JSON pointer, and the secret that is there to what is put there."""

Sealed = Mapping[str, str]
"""Sealed texts by their place in the job; an empty one for a secret that is kept under a name."""

COMMANDS = ("command", "callback_done", "callback_failed")
URL = "/url"
SECRETS_LIMIT = 256
"""Sealing so many takes 5 ms, in which the event loop does nothing else."""

_USER_INFO = re.compile(r"\A([A-Za-z]+://)([^/?#]*)@")
_ORIGIN = re.compile(r"\A([A-Za-z]+)://(?:[^/?#]*@)?([^/?#]*)")


def holds_secrets(command: Command) -> bool:
    """Whether there is a secret in it. Every job that is added pays for this."""
    if isinstance(command, ExecCommand):
        texts, other = command.env, command.stdin
    elif ("@" in command.url and _USER_INFO.match(command.url)) or (
        (params := command.params) and _is_nested(params) and _any_in(params.values())
    ):
        return True
    else:
        texts, other = command.headers, command.body
    if texts:
        for text in texts.values():  # no generator: this runs for every job that has headers
            if type(text) is not str:
                return True
    return type(other) is Secret


def masked(command: Command) -> Command:
    """The command as it may be stored and shown."""
    return changed(command, lambda _place, secret: MASKED if secret.secret_ref is None else secret)


def changed(command: Command, change: Change) -> Any:
    """The command with something else in the place of each of its secrets."""
    if isinstance(command, HttpCommand):
        return msgspec.structs.replace(
            command,
            url=_changed_url(command.url, change),
            headers=_changed_texts(command.headers, "/headers", change),
            params=None if command.params is None else _changed_members(command.params, "/params", change),
            body=_changed_text(command.body, "/body", change),
        )
    return msgspec.structs.replace(
        command,
        env=_changed_texts(command.env, "/env", change),
        stdin=_changed_text(command.stdin, "/stdin", change),
    )


class Hiding:
    """Seals the secrets of a job, command by command. `before` and `kept` are the job that is being changed."""

    def __init__(self, sealer: Sealer, before: Mapping[str, Command | Unreadable | None], kept: Sealed) -> None:
        self.sealed: dict[str, str] = {}
        self._sealer = sealer
        self._before = before
        self._kept = kept
        self._problems: list[Problem] = []

    def hide(self, name: str, command: Command) -> Command:
        """The command as it may be stored."""
        if not holds_secrets(command):
            return command
        is_same = _is_same_destination(self._before.get(name), command)
        return changed(command, lambda place, secret: self._hidden(f"/{name}", place, secret, is_same=is_same))

    def check(self) -> None:
        """InvalidJob with all that was wrong."""
        if self._problems:
            raise InvalidJob(self._problems)

    def _hidden(self, path: str, place: str, secret: Secret, *, is_same: bool) -> Secret:
        where = path + place
        if len(self.sealed) == SECRETS_LIMIT:
            self._problems.append(Problem(where, f"is one secret too many; a job may have {SECRETS_LIMIT}"))
            return MASKED
        if secret.secret_ref is not None:
            self.sealed[where] = ""
            if not self._sealer.knows(secret.secret_ref):
                self._problems.append(Problem(where, f"there is no secret {secret.secret_ref!r}"))
            return secret
        if not secret.is_masked:
            self.sealed[where] = self._sealer.seal(secret.secret or "", place)
        elif where not in self._kept:
            self._problems.append(Problem(where, f"{MASK} is only shown for a secret; send the secret itself"))
        elif not is_same:
            self._problems.append(Problem(where, "must be sent anew, as the command does something else now"))
        else:
            self.sealed[where] = self._kept[where]
        return MASKED


def moved(sealed: Sealed | None, name: str) -> dict[str, str] | None:
    """The sealed texts of a job's callback as those of the job that delivers it."""
    if sealed is None:
        return None
    start = f"/{name}/"
    found = {f"/command/{place.removeprefix(start)}": text for place, text in sealed.items() if place.startswith(start)}
    return found or None


def _is_same_destination(before: Command | Unreadable | None, now: Command) -> bool:
    """Whether a secret goes to where it went before: else whoever may change a job could have it sent to himself."""
    match before, now:
        case HttpCommand(), HttpCommand():
            return _origin(before.url) == _origin(now.url) and MARK not in "".join(_origin(now.url))
        case ExecCommand(), ExecCommand():
            return _without_texts(before) == _without_texts(now)
        case _:
            return False


def _origin(url: str) -> tuple[str, ...]:
    match = _ORIGIN.match(url)
    return tuple(part.lower() for part in match.groups()) if match else ()


def _without_texts(command: ExecCommand) -> ExecCommand:
    """What makes it do what it does, its input too, which may be a script; a variable's secret may be a new one."""
    visible: dict[str, Text] = {
        name: text if isinstance(text, str) else MASKED for name, text in (command.env or {}).items()
    }
    return msgspec.structs.replace(command, env=visible, timeout=None, expect=None)


def _changed_url(url: str, change: Change) -> str:
    match = _USER_INFO.match(url)
    if match is None or not match[2]:
        return url
    text = change(URL, Secret(match[2]))
    return f"{match[1]}{text if isinstance(text, str) else MASK}@{url[match.end() :]}"


def _changed_texts(texts: Mapping[str, Text] | None, path: str, change: Change) -> dict[str, Text] | None:
    if texts is None:
        return None
    return {name: _changed_text(text, f"{path}/{escape_pointer(name)}", change) for name, text in texts.items()}


def _changed_text(text: Any, path: str, change: Change) -> Any:
    return change(path, text) if isinstance(text, Secret) else text


def _changed_members(members: Mapping[str, Any], path: str, change: Change) -> dict[str, Any]:
    return {name: _changed_param(member, f"{path}/{escape_pointer(name)}", change) for name, member in members.items()}


def _changed_param(value: Any, path: str, change: Change) -> Any:
    if is_meant_as_secret(value):
        text = change(path, msgspec.convert(value, Secret))
        return msgspec.to_builtins(text) if isinstance(text, Secret) else text
    if isinstance(value, dict):
        return _changed_members(cast("dict[str, Any]", value), path, change)
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_changed_param(item, f"{path}/{place}", change) for place, item in enumerate(items)]
    return value


def _is_nested(params: Mapping[str, Any]) -> bool:
    for value in params.values():  # noqa: SIM110 (no generator: this runs for every job that has params)
        if isinstance(value, (dict, list)):
            return True
    return False


def _any_in(values: Iterable[Any]) -> bool:
    for value in values:
        if is_meant_as_secret(value):
            return True
        if isinstance(value, dict) and _any_in(cast("dict[str, Any]", value).values()):
            return True
        if isinstance(value, list) and _any_in(cast("list[Any]", value)):
            return True
    return False
