"""Telling once of each running job that is to be cancelled: at once where this node was asked to, else by its pulse."""

from collections.abc import Callable

REMEMBERED = 10_000
"""Wishes that were told. Far more than jobs run on a node; a forgotten one may be told again."""


class Cancels:
    """The listeners of Store.on_cancel."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[int, int, str], None]] = []
        self._told: dict[tuple[int, int], None] = {}

    def listen(self, listener: Callable[[int, int, str], None]) -> None:
        """See Store.on_cancel."""
        self._listeners.append(listener)

    def tell(self, job_id: int, claim_seq: int, reason: str) -> None:
        """Tell all listeners, unless they know."""
        if (job_id, claim_seq) in self._told:
            return
        self._told[job_id, claim_seq] = None
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        for listener in self._listeners:
            listener(job_id, claim_seq, reason)
