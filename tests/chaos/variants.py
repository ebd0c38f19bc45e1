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

    Session.begin, Session.commit, Writer.close = lazy_begin, lazy_commit, close_after_commit  # type: ignore[method-assign]


def no_fence_and_rescue_while_running() -> None:
    """The rescuer takes any running job, and an end is written whoever has the job by then."""
    rescuer.SCAN_S = 0.05
    expired = session.QUERIES["expired"]
    session.QUERIES["expired"] = expired.replace("and node_id not in (select id from node)", "")
    session.QUERIES["applicable"] = "select json_group_array(key order by key) from json_each(?1)"
    assert session.QUERIES["expired"] != expired


if __name__ == "__main__":
    name = sys.argv.pop(1)
    {function.__name__: function for function in (acknowledge_before_commit, no_fence_and_rescue_while_running)}[name]()
    run()
