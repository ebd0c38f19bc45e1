"""Settings as options of a command: one flag each, made from the catalogue."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from queue_server.config.catalog import Setting, catalog
from queue_server.config.files import FILE_NAME

F = TypeVar("F", bound=Callable[..., Any])


def setting_options(*names: str) -> Callable[[F], F]:
    """A flag for each of these settings. Values stay texts: `config.load` reads them like all others."""

    def decorate(command: F) -> F:
        for name in reversed(names):
            command = _option(catalog()[name])(command)
        return command

    return decorate


def config_option(command: F) -> F:
    """--config: the settings file."""
    return click.option(
        "--config",
        metavar="FILE",
        help=f"Settings file; else {FILE_NAME} here, in ~/.config/queue-server or in /etc/queue-server.",
    )(command)


def _option(setting: Setting) -> Callable[[F], F]:
    default = setting.format(setting.default)
    return click.option(
        setting.flag,
        setting.name,
        metavar=_metavar(setting),
        help=f"{setting.description}" + (f"  [{default}]" if default else ""),
    )


def _metavar(setting: Setting) -> str:
    if setting.choices:
        return "|".join(setting.choices)
    return (
        setting.unit.upper()
        if setting.unit in ("duration", "size", "list")
        else {int: "NUMBER", float: "NUMBER"}.get(setting.base, "TEXT")
    )
