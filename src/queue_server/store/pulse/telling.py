"""Who is told what a look has found."""

from collections.abc import Callable, Collection, Sequence

from queue_server.store.pulse.source import Signs
from queue_server.store.relay import Followed

Waited = Callable[[], Collection[int]]


class Listeners:
    """The listeners of the store's contract."""

    def __init__(self) -> None:
        self._arrivals: list[Callable[[int], None]] = []
        self._cancels: list[Callable[[int, int, str], None]] = []
        self._ends: list[tuple[Waited, Callable[[int], None]]] = []
        self._messages: list[Callable[[bytes], None]] = []
        self._followed: list[Callable[[Sequence[Followed]], None]] = []
        self._kept: list[Callable[[], None]] = []
        self._revision: int | None = None
        self._wished: frozenset[tuple[int, int]] = frozenset()

    def on_arrival(self, listener: Callable[[int], None]) -> None:
        """See Store.on_arrival; of jobs that any process has stored."""
        self._arrivals.append(listener)

    def on_cancel(self, listener: Callable[[int, int, str], None]) -> None:
        """See Store.on_cancel."""
        self._cancels.append(listener)

    def on_end(self, waited: Waited, listener: Callable[[int], None]) -> None:
        """See Store.on_end."""
        self._ends.append((waited, listener))

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """See Relay.on_relayed."""
        self._messages.append(listener)

    def on_kept(self, listener: Callable[[], None]) -> None:
        """See Store.on_kept."""
        self._kept.append(listener)

    def on_followed(self, listener: Callable[[Sequence[Followed]], None]) -> None:
        """See Follows.on_followed."""
        self._followed.append(listener)

    @property
    def waited(self) -> Collection[int]:
        """The jobs whose end somebody waits for."""
        return {job_id for waited, _ in self._ends for job_id in waited()}

    def tell(self, signs: Signs, messages: Sequence[bytes]) -> None:
        """Tell all of them. A wish stays in the database until its job ends, but is told once."""
        if signs.due is not None:
            for arrived in self._arrivals:
                arrived(signs.due)
        if signs.revision != self._revision:
            self._revision = signs.revision
            for changed in self._kept:
                changed()
        for followed in self._followed:
            followed(signs.followed)
        self._tell_wishes(signs)
        self._tell_ends(signs)
        for message in messages:
            for heard in self._messages:
                heard(message)

    def _tell_wishes(self, signs: Signs) -> None:
        told, self._wished = self._wished, frozenset((wish.job_id, wish.claim_seq) for wish in signs.wishes)
        for wish in signs.wishes:
            if (wish.job_id, wish.claim_seq) not in told:
                for cancel in self._cancels:
                    cancel(wish.job_id, wish.claim_seq, wish.reason)

    def _tell_ends(self, signs: Signs) -> None:
        for waited, ended in self._ends:
            for job_id in set(signs.ended).intersection(waited()):
                ended(job_id)
