"""How far a move is, on stderr: a bar for a person, a line now and then for a log."""

import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from queue_server.cli.terminal import console, is_terminal, say
from queue_server.moving.move import Moved

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY = 100_000
"""Rows between two lines of a log."""


class Shows(Protocol):
    """Is told how far it is."""

    def show(self, moved: Moved) -> None:
        """A table has been moved this far."""
        ...


def moving_bar() -> AbstractContextManager[Shows]:
    """A bar for each table on a terminal, else lines."""
    return _bars() if is_terminal(sys.stderr) else nullcontext(Lines())


class Lines:
    """Tells of every LINE_EVERY rows."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def show(self, moved: Moved) -> None:
        """See Shows."""
        if moved.done // LINE_EVERY > self._told.get(moved.table, 0):
            self._told[moved.table] = moved.done // LINE_EVERY
            say(f"{moved.table}: {moved.done:,} of {moved.total:,}")


class Bars:
    """A bar for each table."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, moved: Moved) -> None:
        """See Shows."""
        if moved.table not in self._tasks:
            self._tasks[moved.table] = self._progress.add_task(moved.table)
        told = f"{moved.done:,} of {moved.total:,}"
        self._progress.update(
            self._tasks[moved.table], total=moved.total, completed=moved.done, description=f"{moved.table}: {told}"
        )


@contextmanager
def _bars() -> Generator[Bars]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        yield Bars(progress)
