"""Those who wait for the end of something, by its id."""

import asyncio
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager

End = asyncio.Future[None]


class Ends:
    """Who waits for which end. `changed` is called whenever the first one comes or the last one goes."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._waiting: dict[int, dict[End, None]] = {}
        self._changed = changed
        self._is_closed = False

    def __bool__(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    @property
    def ids(self) -> Collection[int]:
        """What somebody waits for."""
        return self._waiting.keys()

    @contextmanager
    def of(self, id_: int) -> Generator[End]:
        """A future that is done when the end comes, from now on; forgotten when the block is left."""
        end: End = asyncio.get_running_loop().create_future()
        if self._is_closed:
            end.set_result(None)
        self._waiting.setdefault(id_, {})[end] = None
        if len(self._waiting) == 1:
            self._changed()
        try:
            yield end
        finally:
            self._forget(id_, end)

    def came(self, id_: int) -> None:
        """The end has come; nobody may be waiting for it."""
        for end in self._waiting.get(id_, ()):
            if not end.done():
                end.set_result(None)

    def close(self) -> None:
        """Let nobody wait any more."""
        self._is_closed = True
        for id_ in self._waiting:
            self.came(id_)

    def _forget(self, id_: int, end: End) -> None:
        ends = self._waiting[id_]
        del ends[end]
        if not ends:
            del self._waiting[id_]
        if not self._waiting:
            self._changed()
