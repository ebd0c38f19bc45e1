"""The launcher's loop: one thread that starts programs, reaps them and lets nothing outlive its run."""

import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from queue_server.executors.launcher.messages import (
    Channel,
    Ended,
    Message,
    Ready,
    Refused,
    Signal,
    Start,
    close_all,
)
from queue_server.executors.launcher.orphans import Orphans
from queue_server.executors.launcher.processes import descendants, processes, signal_group, signal_seen
from queue_server.executors.launcher.spawn import spawn

TERM_PATIENCE_S = 2.0
"""How long programs may take to end by themselves when the server is gone."""

KILL_PATIENCE_S = 2.0
"""How long the kernel may take to end killed programs before the launcher leaves without them."""

KILL_EVERY_S = 0.05
"""A killed process may leave children that nobody saw yet, so killing is repeated."""


class Supervisor:
    """Serves one server until its channel ends, and then ends every program."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._empty = os.open(os.devnull, os.O_RDWR)
        self._wakeup = _wakeup_at_child_end()
        self._poll = select.poll()
        self._poll.register(self._wakeup, select.POLLIN)
        self._runs: dict[int, int] = {}
        self._leaders: dict[int, int] = {}
        self._wrapped: set[int] = set()
        self._orphans = Orphans()
        self._has_children = False

    def serve(self) -> None:
        """Do what the server asks until it is gone."""
        self._channel.send(Ready())
        with suppress(EOFError):
            while True:
                self._take_requests()
                self._reap()
                self._orphans.kill_if_due(self._runs)
                self._wait_for_work()

    def end_all(self) -> None:
        """End every program: ask it to, then kill it and whatever it left."""
        self._unwatch_channel()
        for leader in self._runs:
            self._signal(leader, signal.SIGTERM)
        self._reap_while(lambda: self._runs, TERM_PATIENCE_S)
        deadline = time.monotonic() + KILL_PATIENCE_S
        while self._has_children and time.monotonic() < deadline:
            self._kill_all()
            self._reap_while(lambda: self._has_children, KILL_EVERY_S)

    def _take_requests(self) -> None:
        while (received := self._channel.receive()) is not None:
            self._take(*received)

    def _take(self, message: Message, descriptors: Sequence[int]) -> None:
        match message:
            case Start():
                self._start(message, descriptors)
            case Signal(run, number) if run in self._leaders:
                self._signal(self._leaders[run], number)
            case _:
                pass  # a signal for a run that has just ended

    def _start(self, start: Start, descriptors: Sequence[int]) -> None:
        output, error_output, *given = descriptors
        result = spawn(start, [given[0] if given else self._empty, output, error_output])
        close_all(descriptors)
        if isinstance(result, str):
            self._channel.send(Refused(start.run, result))
            return
        self._has_children = True
        self._runs[result] = start.run
        self._leaders[start.run] = result
        if start.wrapper:
            self._wrapped.add(result)

    def _signal(self, leader: int, number: int) -> None:
        """Signal a run's group. A sandbox is passed over: its end would be its program's, unasked."""
        if leader in self._wrapped and number != signal.SIGKILL:
            for process in descendants({leader}, [*processes()]):
                signal_seen(process, number)
        else:
            signal_group(leader, number)

    def _reap(self) -> None:
        """Reap all that ended."""
        has_reaped = False
        while (pid := self._next_dead()) is not None:
            self._bury(pid)
            has_reaped = True
        if has_reaped and self._has_children:
            self._orphans.expect()

    def _next_dead(self) -> int | None:
        """A child that ended. It is left a zombie, so that its pid and its group's id stay its own."""
        if not self._has_children:
            return None
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            self._has_children = False
            return None
        return found.si_pid if found else None

    def _bury(self, pid: int) -> None:
        """Kill what is left in the group of a run's leader, reap it, and tell the server."""
        run = self._runs.pop(pid, None)
        if run is not None:
            signal_group(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._orphans.forget(pid)
        self._wrapped.discard(pid)
        if run is not None:
            del self._leaders[run]
            self._channel.send(Ended(run, status))

    def _wait_for_work(self) -> None:
        self._poll.register(self._channel, select.POLLIN | (select.POLLOUT if self._channel.has_waiting else 0))
        self._wait(self._orphans.due_at)
        self._channel.flush()

    def _wait(self, deadline: float | None) -> None:
        timeout_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        for descriptor, _ in self._poll.poll(timeout_ms):
            if descriptor == self._wakeup:
                os.read(self._wakeup, 4096)

    def _unwatch_channel(self) -> None:
        with suppress(KeyError):
            self._poll.unregister(self._channel)

    def _reap_while(self, is_needed: Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self._reap()
        while is_needed() and time.monotonic() < deadline:
            self._wait(deadline)
            self._reap()

    def _kill_all(self) -> None:
        for leader in self._runs:
            signal_group(leader, signal.SIGKILL)
        for process in descendants({os.getpid()}, [*processes()]):
            signal_seen(process, signal.SIGKILL)


def _wakeup_at_child_end() -> int:
    """A descriptor that can be read after SIGCHLD."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing_more)
    return readable


def _nothing_more(_number: int, _frame: FrameType | None) -> None:
    """Without a handler the interpreter would not write to the wakeup descriptor."""
