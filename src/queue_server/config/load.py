"""From flags, environment and settings file to Settings.

A flag beats a variable, a variable beats the file, the file beats the default. Every value that is given must
be valid, also one that another beats: a mistake that waits for its day is worse than one found now.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from queue_server.config.catalog import catalog
from queue_server.config.commands import read_commands
from queue_server.config.complaints import not_allowed, unknown
from queue_server.config.files import file_values, read_file, search_folders
from queue_server.config.origin import DEFAULT, Given, Origin
from queue_server.config.settings import TABLES, Settings
from queue_server.config.variables import variable_values


class Loaded(msgspec.Struct, frozen=True):
    """The settings, where each came from, the settings file that was read, if any, and where its commands are."""

    settings: Settings
    origins: dict[str, Origin]
    file: Path | None = None
    command_origins: dict[str, Origin] = {}


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    config: str | None = None,
    folders: Sequence[Path] | None = None,
) -> Loaded:
    """The settings that apply; InvalidSetting, with one line that says what to change, if one can't be used.

    `flags` are by setting name, None meaning not given. `config` names the settings file; without it (and
    without QUEUE_SERVER_CONFIG) it is looked for in `folders`, by default those of `search_folders`.
    """
    found = read_file(config, environ, search_folders(environ) if folders is None else folders)
    values, origins = _defaults()
    command_origins: dict[str, Origin] = {}
    for given in _all_given(flags, environ, found):
        if given.name in TABLES:
            values[given.name], command_origins = read_commands(given, found[1] if found else "")
        else:
            values[given.name] = _read(given)
            origins[given.name] = given.origin
    return Loaded(Settings(**values), origins, found[0] if found else None, command_origins)


def _defaults() -> tuple[dict[str, Any], dict[str, Origin]]:
    settings = catalog()
    return {name: setting.default for name, setting in settings.items()}, dict.fromkeys(settings, DEFAULT)


def _all_given(
    flags: Mapping[str, object], environ: Mapping[str, str], found: tuple[Path, str] | None
) -> Iterator[Given]:
    """What is given, the stronger later."""
    if found:
        yield from file_values(*found)
    yield from variable_values(environ)
    yield from _flag_values(flags)


def _flag_values(flags: Mapping[str, object]) -> Iterable[Given]:
    known = catalog()
    for name, value in flags.items():
        given = Given(name, value, Origin("flag", "--" + name.replace("_", "-")))
        if name not in known:
            raise unknown(given, [setting.flag for setting in known.values()])
        if value is not None:
            yield given


def _read(given: Given) -> Any:
    setting = catalog()[given.name]
    try:
        return setting.read(given.value)
    except ValueError:
        raise not_allowed(setting, given) from None
