"""How far `add -` is, on stderr, while a person looks at it."""

import os
import stat
import sys
from contextlib import AbstractContextManager, nullcontext
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
    return Bar(file) if is_terminal(sys.stderr) else nullcontext(Silence())


class Silence:
    """Tells nobody."""

    def advance(self, size: int, *, failed: bool) -> None:
        """Nothing."""


class Bar:
    """A bar with the number of jobs added, those that failed, and the speed."""

    def __init__(self, file: BinaryIO) -> None:
        self._size = _size_of(file)
        self._added = self._failed = 0

    def __enter__(self) -> "Bar":
        self._progress = _progress()
        self._task = self._progress.add_task("", total=self._size, jobs="0", speed="")
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._show()
        self._progress.stop()

    def advance(self, size: int, *, failed: bool) -> None:
        """Move the bar."""
        self._failed += failed
        self._added += not failed
        self._progress.advance(self._task, size)
        self._show()

    def _show(self) -> None:
        elapsed = self._progress.tasks[0].elapsed or 0.0
        speed = f"{self._added / elapsed:,.0f}/s" if elapsed > 0.2 else ""
        failed = f", [red]{self._failed:,} refused[/]" if self._failed else ""
        self._progress.update(self._task, jobs=f"{self._added:,} added{failed}", speed=speed)


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
