"""How often an address has tried wrong tokens. Bounded: the addresses that were longest quiet are forgotten first."""

from collections import OrderedDict

WINDOW_S = 60.0
ADDRESSES_KEPT = 10_000


class FailedLogins:
    """Counts failures of each address in windows of a minute; a window begins with its first failure."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def seconds_to_wait(self, address: str, now: float) -> float:
        """How long the address has to wait, 0 if it may try. `now` is monotonic."""
        begin, count = self._windows.get(address, (now, 0))
        return max(0.0, begin + WINDOW_S - now) if count >= self._limit else 0.0

    def failed(self, address: str, now: float) -> None:
        """The address has tried a wrong token."""
        begin, count = self._windows.get(address, (now, 0))
        if now - begin >= WINDOW_S:
            begin, count = now, 0
        self._windows[address] = (begin, count + 1)
        self._windows.move_to_end(address)
        if len(self._windows) > ADDRESSES_KEPT:
            self._windows.popitem(last=False)

    def __len__(self) -> int:
        return len(self._windows)
