"""Settings from the environment: QUEUE_SERVER_<NAME>, or QUEUE_SERVER_<NAME>_FILE, a file with the value."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from queue_server.config.catalog import VARIABLE_PREFIX, Setting, catalog
from queue_server.config.complaints import given_twice, unknown, unreadable
from queue_server.config.files import CONFIG_VARIABLE
from queue_server.config.origin import Given, Origin

FILE_SUFFIX = "_FILE"
CLIENT_VARIABLES = ("QUEUE_SERVER_URL", "QUEUE_SERVER_TOKEN")
"""They belong to the client commands; a server ignores them."""


def variable_values(environ: Mapping[str, str]) -> Iterator[Given]:
    """What the environment gives; InvalidSetting if one is unknown or contradicts another."""
    known = {setting.variable: setting for setting in catalog().values()}
    for variable in sorted(environ):
        if not variable.startswith(VARIABLE_PREFIX) or variable in (*CLIENT_VARIABLES, CONFIG_VARIABLE):
            continue
        if setting := known.get(variable):
            yield Given(setting.name, environ[variable], Origin("variable", variable))
        elif setting := known.get(variable.removesuffix(FILE_SUFFIX)):
            yield _from_file(setting, variable, environ)
        else:
            given = Given(_name_of(variable), environ[variable], Origin("variable", variable))
            raise unknown(given, [*known, *CLIENT_VARIABLES, CONFIG_VARIABLE])


def _from_file(setting: Setting, variable: str, environ: Mapping[str, str]) -> Given:
    origin = Origin("variable", variable)
    if setting.variable in environ:
        raise given_twice(Origin("variable", setting.variable), origin, setting.name)
    path = environ[variable]
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(f"setting {setting.name}", origin, path, error) from error
    return Given(setting.name, text.removesuffix("\n").removesuffix("\r"), origin)


def _name_of(variable: str) -> str:
    return variable.removeprefix(VARIABLE_PREFIX).lower()
