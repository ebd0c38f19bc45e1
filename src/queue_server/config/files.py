"""The settings file: which one is read, and what it says."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from queue_server.config.catalog import catalog
from queue_server.config.complaints import unknown, unreadable
from queue_server.config.origin import Given, Origin
from queue_server.config.settings import TABLES
from queue_server.domain.errors import InvalidSetting

FILE_NAME = "queue-server.toml"
CONFIG_VARIABLE = "QUEUE_SERVER_CONFIG"
SYSTEM_FOLDER = Path("/etc/queue-server")


def search_folders(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where queue-server.toml is looked for: here, in the user's config folder, in the system's."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):  # the XDG specification has relative paths ignored
        base = f"{environ['HOME']}/.config" if environ.get("HOME") else ""
    user = (Path(base, "queue-server"),) if base else ()
    return (Path(), *user, SYSTEM_FOLDER)


def read_file(config: str | None, environ: Mapping[str, str], folders: Sequence[Path]) -> tuple[Path, str] | None:
    """The settings file and its text: the one that is named, else the first that is found, else none.

    One that is named and missing, and one that is there and can't be read, raise InvalidSetting.
    """
    for named, origin in (
        (config, Origin("flag", "--config")),
        (environ.get(CONFIG_VARIABLE), Origin("variable", CONFIG_VARIABLE)),
    ):
        if named is not None:
            return Path(named), _text(Path(named), origin)
    return next(_found(folders), None)


def file_values(path: Path, text: str) -> Iterator[Given]:
    """What the file gives, each with its line. InvalidSetting if it is no TOML or names something unknown."""
    try:
        members = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSetting(f"{path} is not valid TOML: {error}") from None
    for name, value in members.items():
        given = Given(name, value, Origin("file", str(path), _line_of(name, text)))
        if name not in catalog() and name not in TABLES:
            raise unknown(given, [*catalog(), *TABLES])
        yield given


def table_line(table: str, name: str, text: str) -> int | None:
    """The line that opens `[table.name]`, or one of the tables in it."""
    opens = re.compile(rf"""\s*\[\s*["']?{re.escape(table)}["']?\s*\.\s*["']?{re.escape(name)}["']?\s*[.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if opens.match(line)), None)


def _found(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        path = folder / FILE_NAME
        try:
            text = _text(path, Origin("file", str(path)))
        except InvalidSetting as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                continue
            raise
        yield path, text


def _text(path: Path, origin: Origin) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable("settings file", origin, str(path), error) from error


def _line_of(name: str, text: str) -> int | None:
    """The line that sets `name`, or opens a table of that name; tomllib tells no positions."""
    sets = re.compile(rf"""\s*\[{{0,2}}\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if sets.match(line)), None)
