"""Bugs to plant in a server on SQLite."""

import time

from queue_server.engine import rescuer
from queue_server.store.sqlite import session
from queue_server.store.sqlite.session import Session
from queue_server.store.sqlite.writer import Writer
from tests.chaos.planting import break_query

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
    break_query(session.QUERIES, "expired", "and node_id not in (select id from node)", "")
    break_query(
        session.QUERIES, "finish_all", "and job.state = change.from_state and job.claim_seq = change.claim_seq", ""
    )
    break_query(session.QUERIES, "finish", "and state = ?2 and claim_seq = ?3", "and ?3 is not null")
