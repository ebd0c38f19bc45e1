"""The progress bar on stderr, and each figure as soon as it is known."""

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from tests.performance.figures import Figure
from tests.performance.report import in_words


class Progress:
    """Redrawn only when something is said: a thread that draws would disturb what is measured."""

    def __init__(self, parts: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, console=self._console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("starting", total=parts)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, what: str) -> None:
        """What is being done now."""
        self._bar.update(self._task, description=what, refresh=True)

    def passed(self, figures: Iterable[Figure]) -> None:
        """A part is done, and these are its figures."""
        for figure in figures:
            self._console.print(in_words(figure), style="dim")
        self._bar.update(self._task, advance=1, refresh=True)
