"""How far `add -` is, on stderr, while a person looks at it."""

import os
import stat
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, BinaryIO, Protocol

from queue_server.cli.terminal import console, is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress


class Meter(Protocol):
    """Is told of each line that is done."""

    def advance(self, size: int, *, failed: bool) -> None:
        """A line of `size` bytes is done."""
        ...


def meter(file: BinaryIO) -> AbstractContextManager[Meter]:
    """A progress bar on a terminal, else nothing. The bar knows its end when the input is a plain file."""
    return _bar(file) if is_terminal(sys.stderr) else nullcontext(Silence())


class Silence:
    """Tells nobody."""

    def advance(self, size: int, *, failed: bool) -> None:
        """Nothing."""


class Bar:
    """A bar with the number of jobs added, those that were refused, and the speed."""

    def __init__(self, progress: "Progress", size: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=size, jobs="0 added", speed="")
        self._added = self._failed = 0

    def advance(self, size: int, *, failed: bool) -> None:
        """Move the bar."""
        self._failed += failed
        self._added += not failed
        elapsed = self._progress.tasks[0].elapsed or 0.0
        speed = f"{self._added / elapsed:,.0f}/s" if elapsed > 0.2 else ""
        refused = f", {self._failed:,} refused" if self._failed else ""
        self._progress.update(self._task, advance=size, jobs=f"{self._added:,} added{refused}", speed=speed)


@contextmanager
def _bar(file: BinaryIO) -> Generator[Bar]:
    with _progress() as progress:
        yield Bar(progress, _size_of(file))


def _progress() -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        BarColumn(),
        TextColumn("{task.fields[jobs]}"),
        TextColumn("[dim]{task.fields[speed]}"),
        TimeElapsedColumn(),
        console=console(sys.stderr),
        redirect_stdout=is_terminal(sys.stdout),
    )


def _size_of(file: BinaryIO) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None
