"""Events as they come, one a line."""

import sys
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Raw

from queue_server.cli.human import moment
from queue_server.cli.job_columns import state_style
from queue_server.cli.tables import Column, print_row
from queue_server.cli.terminal import console, is_terminal, printable, say
from queue_server.client import Event

if TYPE_CHECKING:
    from rich.console import Console

MISSED = "some events were missed: the server was started again, or it has forgotten them"


class EventPrinter(Protocol):
    """Prints events as they come."""

    def show(self, event: Event) -> None:
        """Print the event."""
        ...


class EventLines:
    """One JSON object a line, as the server wrote it; the job that a stream begins with is under `job`."""

    def show(self, event: Event) -> None:
        """Print the event."""
        if event.job is not None:
            line = msgspec.json.encode({"type": event.type, "job": Raw(event.raw)})
        elif event.type == "reset":
            line = b'{"type":"reset"}'
        else:
            line = msgspec.json.format(event.raw, indent=-1)
        print(line.decode(), flush=True)


class EventRows:
    """A row for each: its values separated by tabs, or on a terminal in columns of fixed widths."""

    def __init__(self) -> None:
        self._console = console(sys.stdout) if is_terminal(sys.stdout) else None

    def show(self, event: Event) -> None:
        """Print the event; that some were missed is said on stderr."""
        if event.type == "reset":
            say(MISSED)
        elif self._console:
            _print_aligned(event, self._console)
        else:
            print_row(event, COLUMNS)
            sys.stdout.flush()


def _print_aligned(event: Event, out: "Console") -> None:
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    for column, width in zip(COLUMNS, WIDTHS, strict=True):
        text = printable(column.text(event))
        line.append(text.rjust(width) if column.justify == "right" else text.ljust(width), column.style(event))
        line.append("  ")
    out.print(line)


def _time(event: Event) -> str:
    at = event.at or (event.job and event.job.created_at)
    return moment(at) if at else ""


def _result(event: Event) -> str:
    """The exit code or status, and what is to be said about it."""
    told = (str(event.exit_code) if event.exit_code is not None else "", event.error or event.reason or "")
    return " ".join(filter(None, told))


COLUMNS = (
    Column[Event]("at", _time, lambda _: "dim"),
    Column[Event]("event", lambda event: event.type.removeprefix("job.")),
    Column[Event]("job", lambda event: str(event.job_id), lambda _: "bold", justify="right"),
    Column[Event]("state", lambda event: event.state, lambda event: state_style(event.state)),
    Column[Event]("context", lambda event: event.context),
    Column[Event]("result", _result),
)
WIDTHS = (27, 9, 9, 9, 16, 0)
"""Of the columns on a terminal: rows that never end can't be fitted to each other."""
