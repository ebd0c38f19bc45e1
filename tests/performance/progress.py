"""The progress bar on stderr, and each figure as soon as it is known."""

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from tests.performance.figures import Figure
from tests.performance.report import console, in_words


class Progress:
    """Redrawn only when something is said: a thread that draws would disturb what is measured."""

    def __init__(self, parts: int) -> None:
        self._console = console(stderr=True)
        columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, console=self._console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("starting", total=parts)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, what: str) -> None:
        """What is being done now."""
        self._bar.update(self._task, description=what, refresh=True)

    def show(self, figure: Figure) -> None:
        self._console.print(in_words(figure), style="dim", soft_wrap=True)

    def advance(self) -> None:
        """A part is done."""
        self._bar.update(self._task, advance=1, refresh=True)
