"""Options and types that several commands share."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

from queue_server.config.units import parse_duration, parse_size

Format = Literal["table", "json", "ndjson", "id"]
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_SERVER = "http://127.0.0.1:1337"
JOB_ID = click.IntRange(min=1)


class Duration(click.ParamType[float]):
    """A duration such as 90, 500ms, 15m; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds, or a usage error."""
        try:
            return value if isinstance(value, float) else parse_duration(value)
        except ValueError:
            self.fail(f"{value!r} is not a duration such as 90, 500ms, 15m, 12h or 7d.", param, ctx)


class Size(click.ParamType[int]):
    """A size such as 4096, 64KiB, 1MiB; in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes, or a usage error."""
        try:
            return value if isinstance(value, int) else parse_size(value)
        except ValueError:
            self.fail(f"{value!r} is not a size such as 4096, 64KiB or 1MiB.", param, ctx)


class Pair(click.ParamType[tuple[str, str]]):
    """A name and its value."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The two, or a usage error."""
        if isinstance(value, tuple):
            return value  # pyright: ignore[reportUnknownVariableType] (click converts once more)
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r} must be NAME=VALUE.", param, ctx)
        return name, text


class HeaderText(click.ParamType[str]):
    """A text that a header can carry."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, or a usage error."""
        from queue_server.client.address import is_header_text

        if value and not is_header_text(value):
            self.fail(f"{value!r} must be visible ASCII.", param, ctx)
        return value


DURATION = Duration()
HEADER_TEXT = HeaderText()
SIZE = Size()
PAIR = Pair()


def server_option(command: F) -> F:
    """--server: the server that a client command talks to. The command gets an `Address`."""
    return click.option(
        "--server",
        envvar="QUEUE_SERVER_URL",
        default=DEFAULT_SERVER,
        show_default=True,
        show_envvar=True,
        metavar="URL",
        callback=_server,
        help="Address of the server; the variable QUEUE_SERVER_TOKEN holds your token.",
    )(command)


def output_option(*formats: Format, default: Format = "table") -> Callable[[F], F]:
    """-o: the form of the data on stdout."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=default,
        show_default=True,
        help="Form of the data on stdout.",
    )


def _server(_ctx: click.Context, _param: click.Parameter, value: str) -> object:
    from queue_server.client.address import address

    return address(value)
