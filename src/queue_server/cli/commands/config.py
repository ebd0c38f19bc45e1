"""`config show`: every setting, its value, and where it came from."""

import os
import shlex
from collections.abc import Iterator

import click
import msgspec

from queue_server.cli.options import Format, output_option
from queue_server.cli.printers import Shape, printer
from queue_server.cli.setting_options import config_option
from queue_server.cli.tables import Column
from queue_server.config.catalog import catalog
from queue_server.config.load import Loaded, load
from queue_server.config.masking import mask_passwords


class Row(msgspec.Struct, frozen=True):
    """A setting as it is shown. `value` is a number or a text, passwords masked."""

    name: str
    value: object
    origin: str
    description: str


def _shown(row: Row) -> str:
    setting = catalog().get(row.name)
    return setting.format(row.value) if setting else str(row.value)


COLUMNS = (
    Column[Row]("setting", lambda row: row.name, lambda _: "bold"),
    Column[Row]("value", _shown, lambda _: "cyan", fit="wrap"),
    Column[Row](
        "origin",
        lambda row: row.origin,
        lambda row: "dim" if row.origin == "default" else "green",
        fit="wrap",
    ),
    Column[Row]("description", lambda row: row.description, fit="wrap"),
)


@click.group("config")
def command() -> None:
    """Look at the settings."""


@command.command("show")
@output_option("table", "json", "ndjson")
@config_option
def show(output: Format, config: str | None) -> None:
    """Show every setting, its value and where it came from: a variable, the settings file, or the default."""
    loaded = load({}, os.environ, config=config)
    out = printer(output, Shape(Row, COLUMNS))
    for row in _rows(loaded):
        out.add(msgspec.json.encode(row))
    out.close()


def _rows(loaded: Loaded) -> Iterator[Row]:
    for name, setting in catalog().items():
        value = getattr(loaded.settings, name)
        shown = mask_passwords(value) if isinstance(value, str) else value
        shown = setting.format(value) if setting.unit == "secret" else shown
        yield Row(name, shown, str(loaded.origins[name]), setting.description)
    for name, named in loaded.settings.commands.items():
        words = "A command that jobs may run by this name" + (f", as {named.run_as}." if named.run_as else ".")
        yield Row(f"commands.{name}", shlex.join(named.args), str(loaded.command_origins[name]), words)
