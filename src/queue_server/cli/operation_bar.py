"""How far an operation is, on stderr, while a person looks at it."""

import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from queue_server.cli.terminal import console, is_terminal
from queue_server.client import Operation

if TYPE_CHECKING:
    from rich.progress import Progress


class Shows(Protocol):
    """Is told how far the operation is."""

    def show(self, operation: Operation) -> None:
        """It is this far."""
        ...


def operation_bar(operation: Operation) -> AbstractContextManager[Shows]:
    """A progress bar on a terminal, else nothing."""
    return _bar(operation) if is_terminal(sys.stderr) else nullcontext(Silence())


class Silence:
    """Shows nothing."""

    def show(self, operation: Operation) -> None:
        """Nothing."""


class Bar:
    """A bar over all jobs that matched, with the number of those that were left alone."""

    def __init__(self, progress: "Progress", operation: Operation) -> None:
        self._progress = progress
        self._task = progress.add_task(operation.action, total=operation.matched, told="")

    def show(self, operation: Operation) -> None:
        """Move the bar."""
        handled = operation.done + operation.skipped
        skipped = f", {operation.skipped:,} skipped" if operation.skipped else ""
        told = f"{operation.done:,} of {operation.matched:,}{skipped}"
        most = max(operation.matched, handled)
        self._progress.update(self._task, completed=handled, total=most, told=told, refresh=True)


@contextmanager
def _bar(operation: Operation) -> Generator[Bar]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        yield Bar(progress, operation)
