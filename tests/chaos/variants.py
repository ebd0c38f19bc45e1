"""Servers with a planted bug, for canaries: `python -m tests.chaos.variants NAME serve …`."""

import sys
import time

from queue_server.cli.main import run
from queue_server.engine import rescuer
from queue_server.store.sqlite import session
from queue_server.store.sqlite.session import Session
from queue_server.store.sqlite.writer import Writer

COMMIT_EVERY_S = 0.3


def acknowledge_before_commit() -> None:
    """Answers go out at once; the transaction stays open and is committed now and then."""
    begin, commit, close = Session.begin, Session.commit, Writer.close
    last = time.monotonic()

    def lazy_begin(self: Session) -> None:
        if not self._database.in_transaction:
            begin(self)
        self._changes.clear()
        self.arrived = None

    def lazy_commit(self: Session) -> None:
        nonlocal last
        if time.monotonic() - last > COMMIT_EVERY_S:
            last = time.monotonic()
            commit(self)
        else:
            self.counts = {state: count + self._changes[state] for state, count in self.counts.items()}

    def close_after_commit(self: Writer) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._database.in_transaction:
            commit(self._session)
        close(self)

    Session.begin, Session.commit, Writer.close = lazy_begin, lazy_commit, close_after_commit


def no_fence_and_rescue_while_running() -> None:
    """The rescuer takes any running job, and an end is written whoever has the job by then."""
    rescuer.SCAN_S = 0.05
    _plant("expired", "and node_id not in (select id from node)", "")
    _plant("finish_all", "and job.state = change.from_state and job.claim_seq = change.claim_seq", "")
    _plant("finish", "and state = ?2 and claim_seq = ?3", "and ?3 is not null")


def _plant(query: str, sound: str, broken: str) -> None:
    text = session.QUERIES[query]
    assert sound in text, f"the query {query} has changed: plant the bug anew"
    session.QUERIES[query] = text.replace(sound, broken)


if __name__ == "__main__":
    name = sys.argv.pop(1)
    {function.__name__: function for function in (acknowledge_before_commit, no_fence_and_rescue_while_running)}[name]()
    run()
