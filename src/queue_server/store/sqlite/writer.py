"""The one thread that writes.

While a transaction is being written, the next work collects; then all of it shares one commit (group commit), but for
large batches (groups.py). At idle a group is one piece of work and waits for nothing.

When a group fails, what follows depends on why:

    the disk failed, the file is damaged   everybody gets StoreUnavailable, the server is told to stop, nothing is
                                           tried again
    the disk is full, the file is locked   everybody in the group gets StoreUnavailable, the next group is tried afresh
    one piece of work is impossible        the pieces are tried one by one, so that only this one fails
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw

from queue_server.domain.errors import InvalidJob, JobDeleted, KeyMismatch, StoreError, StoreUnavailable
from queue_server.store.contract import NOTHING_CLAIMED, ArrivalListener, Turn
from queue_server.store.sqlite.adding_once import add_once
from queue_server.store.sqlite.checkpoints import Checkpoints
from queue_server.store.sqlite.connection import FATAL, PASSING, explain
from queue_server.store.sqlite.groups import Groups
from queue_server.store.sqlite.session import Session
from queue_server.store.sqlite.work import Add, AddOnce, AnyFuture, Call, Exchange, Work

RETRY_AFTER_S = 5


class Writer:
    """Owns the writing connection. `submit` may be called from any thread; answers arrive in the event loop."""

    def __init__(self, database: apsw.Connection, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._database = database
        self._path = path
        self._loop = loop
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._groups = Groups()
        self._is_ending = False
        self._session = Session(database)
        self._checkpoints = Checkpoints(database)
        self._broken: str | None = None
        self._closing = threading.Lock()
        self._is_closed = False
        self._arrival_listeners: list[ArrivalListener] = []
        self._failure_listeners: list[Callable[[str], None]] = []
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    @property
    def session(self) -> Session:
        """For reading what the session keeps; only the writer's thread may call its methods."""
        return self._session

    def on_arrival(self, listener: ArrivalListener) -> None:
        """See Store.on_arrival."""
        self._arrival_listeners.append(listener)

    def on_failure(self, listener: Callable[[str], None]) -> None:
        """See Store.on_failure."""
        self._failure_listeners.append(listener)

    def submit(self, work: Work) -> None:
        """Queue a piece of work; its future gets the result, or a StoreError."""
        with self._closing:
            if not self._is_closed:
                self._queue.put(work)
                return
        self._answer([(work, StoreUnavailable("the store is closed"))])

    def close(self) -> None:
        """Write what is queued, then end the thread and close the file. Blocks."""
        with self._closing:
            self._is_closed = True
            self._queue.put(None)
        self._thread.join()
        self._database.close()

    def _run(self) -> None:
        while True:
            self._collect()
            if not self._groups:
                return
            group = self._groups.next()
            self._write(group)
            group.clear()  # else a large batch would stay in memory until there is other work
            self._checkpoint()

    def _collect(self) -> None:
        """Take what has been submitted; wait for a piece of work only where none is left from before."""
        if not (self._groups or self._is_ending):
            self._take(self._queue.get())
        for _ in range(self._queue.qsize()):
            self._take(self._queue.get_nowait())

    def _take(self, work: Work | None) -> None:
        if work is not None:
            self._groups.put(work)
        else:
            self._is_ending = True

    def _write(self, group: Sequence[Work]) -> None:
        if self._broken:
            self._answer([(work, StoreUnavailable(self._broken)) for work in group])
            return
        try:
            results = self._transact(group)
        except apsw.Error as error:
            self._write_after(error, group)
        except Exception as error:  # noqa: BLE001 (whatever a piece of work raises is that piece's answer)
            self._write_one_by_one(error, group)
        else:
            self._answer(results)

    def _transact(self, group: Sequence[Work]) -> list[tuple[Work, Any]]:
        """All of the group in one transaction. Ended jobs first, then new ones, so that a claim sees both."""
        session = self._session
        session.begin()
        try:
            exchanges = [work for work in group if isinstance(work, Exchange)]
            flags = _finish_all(session, exchanges)
            results = _add_all(session, [work for work in group if isinstance(work, Add)])
            results += _add_all_once(session, [work for work in group if isinstance(work, AddOnce)])
            results += _claim_all(session, exchanges, flags)
            results += [(work, work.action(session)) for work in group if isinstance(work, Call)]
            session.commit()
        except BaseException:
            session.rollback()
            raise
        return results

    def _write_after(self, error: apsw.Error, group: Sequence[Work]) -> None:
        message = explain(error, self._path)
        if isinstance(error, FATAL):
            self._break(message)
            self._answer([(work, StoreUnavailable(message)) for work in group])
        elif isinstance(error, PASSING):
            unavailable = StoreUnavailable(message, retry_after=RETRY_AFTER_S)
            self._answer([(work, unavailable) for work in group])
        else:
            self._write_one_by_one(error, group)

    def _write_one_by_one(self, error: Exception, group: Sequence[Work]) -> None:
        if len(group) == 1:
            self._answer([(group[0], StoreError(f"can't be stored: {error}"))])
            return
        for work in group:
            self._write([work])

    def _checkpoint(self) -> None:
        if self._broken:
            return
        try:
            self._checkpoints.run_if_due()
        except apsw.Error as error:
            if isinstance(error, FATAL):
                self._break(explain(error, self._path))

    def _break(self, message: str) -> None:
        self._broken = message
        for listener in self._failure_listeners:
            self._loop.call_soon_threadsafe(listener, message)

    def _answer(self, results: Sequence[tuple[Work, Any]]) -> None:
        for_loop: list[tuple[asyncio.Future[Any], Any]] = []
        for work, result in results:
            if isinstance(work.future, asyncio.Future):
                for_loop.append((work.future, result))
            else:
                _settle(work.future, result)
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._deliver, for_loop, self._session.arrived)

    def _deliver(self, results: Sequence[tuple[asyncio.Future[Any], Any]], arrived: int | None) -> None:
        for future, result in results:
            _settle(future, result)
        if arrived is not None:
            for listener in self._arrival_listeners:
                listener(arrived)


def _finish_all(session: Session, works: Sequence[Exchange]) -> Sequence[bool]:
    transitions = [transition for work in works for transition in work.transitions]
    return session.finish(transitions) if transitions else ()


def _claim_all(session: Session, works: Sequence[Exchange], flags: Sequence[bool]) -> list[tuple[Work, Any]]:
    results: list[tuple[Work, Any]] = []
    for work in works:
        count = len(work.transitions)
        claimed = NOTHING_CLAIMED if work.claim is None else session.claim(work.claim)
        results.append((work, Turn(flags[:count], claimed, () if results else session.callbacks)))
        flags = flags[count:]
    return results


def _add_all(session: Session, works: Sequence[Add]) -> list[tuple[Work, Any]]:
    if not works:
        return []
    ids = session.insert([job for work in works for job in work.jobs])
    results: list[tuple[Work, Any]] = []
    start = 0
    for work in works:
        results.append((work, ids[start : start + len(work.jobs)]))
        start += len(work.jobs)
    return results


def _add_all_once(session: Session, works: Sequence[AddOnce]) -> list[tuple[Work, Any]]:
    """One after the other: each sees the keys of those before it. A refused one has written nothing."""
    results: list[tuple[Work, Any]] = []
    for work in works:
        try:
            results.append((work, add_once(session, work.jobs)))
        except (InvalidJob, KeyMismatch, JobDeleted) as refusal:
            results.append((work, refusal))
    return results


def _settle(future: AnyFuture, result: Any) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
