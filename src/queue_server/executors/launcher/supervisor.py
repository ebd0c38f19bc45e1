"""The launcher's loop: one thread that starts programs, reaps them and lets nothing outlive its run."""

import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

from queue_server.executors.launcher.messages import (
    Channel,
    ChannelClosed,
    Ended,
    Message,
    Ready,
    Refused,
    Signal,
    Start,
)
from queue_server.executors.launcher.orphans import Orphans, children_of, kill, kill_group
from queue_server.executors.launcher.spawn import spawn

TERM_PATIENCE_S = 2.0
"""How long programs may take to end when the server is gone, before they are killed."""

KILL_PATIENCE_S = 2.0
"""How long the kernel may take to end killed programs before the launcher leaves without them."""

SWEEP_EVERY_S = 0.1
"""A look for orphans reads all of /proc, so it is done at most this often while runs end, …"""

SWEEP_SHARE = 20
"""… and at most for one part in this many of the time, however many processes the machine has."""


class Supervisor:
    """Serves one server until its channel ends, then ends every program."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._empty = os.open(os.devnull, os.O_RDWR)
        self._wakeup = _wake_on_child_end()
        self._leaders: dict[int, int] = {}
        self._runs: dict[int, int] = {}
        self._orphans = Orphans()
        self._has_children = False
        self._sweep_at: float | None = None
        self._next_sweep = 0.0

    def serve(self) -> None:
        """Do what the server asks until it is gone."""
        self._channel.send(Ready())
        with suppress(ChannelClosed):
            while True:
                self._take_requests()
                self._reap()
                self._sweep_if_due()
                self._wait_for_work()

    def end_all(self) -> None:
        """End every program: ask them, then kill them and all that they left."""
        for leader in self._runs:
            kill_group(leader, signal.SIGTERM)
        self._reap_until(time.monotonic() + TERM_PATIENCE_S)
        deadline = time.monotonic() + KILL_PATIENCE_S
        while self._has_children and time.monotonic() < deadline:
            self._kill_all()
            self._reap_until(time.monotonic() + SWEEP_EVERY_S)

    def _take_requests(self) -> None:
        while (received := self._channel.receive()) is not None:
            self._take(*received)

    def _take(self, message: Message, descriptors: Sequence[int]) -> None:
        match message:
            case Start():
                self._start(message, descriptors)
            case Signal(run, number) if run in self._leaders:
                kill_group(self._leaders[run], number)
            case _:
                pass  # a signal for a run that has just ended

    def _start(self, start: Start, descriptors: Sequence[int]) -> None:
        output, error_output, *given = descriptors
        result = spawn(start, [given[0] if given else self._empty, output, error_output])
        for descriptor in descriptors:
            os.close(descriptor)
        if isinstance(result, str):
            self._channel.send(Refused(start.run, result))
            return
        self._has_children = True
        self._leaders[start.run] = result
        self._runs[result] = start.run

    def _reap(self) -> None:
        """Collect all that ended. Without children that are left there is nothing to look for."""
        has_reaped = False
        while (pid := self._next_dead()) is not None:
            has_reaped = True
            self._bury(pid)
        if has_reaped and self._has_children and self._sweep_at is None:
            self._sweep_at = self._next_sweep

    def _next_dead(self) -> int | None:
        """A child that has ended. It stays a zombie, which keeps its pid and its group's id from being given away."""
        if not self._has_children:
            return None
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            self._has_children = False
            return None
        return found.si_pid if found else None

    def _bury(self, pid: int) -> None:
        run = self._runs.pop(pid, None)
        if run is not None:
            kill_group(pid)
        status = os.waitpid(pid, 0)[1]
        self._orphans.forget(pid)
        if run is not None:
            del self._leaders[run]
            self._channel.send(Ended(run, os.waitstatus_to_exitcode(status)))

    def _sweep_if_due(self) -> None:
        now = time.monotonic()
        if self._sweep_at is None or now < self._sweep_at:
            return
        self._sweep_at = None
        found = self._orphans.kill_abandoned(self._runs)
        taken = time.monotonic() - now
        self._next_sweep = now + (0.0 if found else max(SWEEP_EVERY_S, taken * SWEEP_SHARE))

    def _wait_for_work(self) -> None:
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        poll.register(self._channel, select.POLLIN | (select.POLLOUT if self._channel.has_waiting else 0))
        self._poll(poll, self._sweep_at)
        self._channel.flush()

    def _reap_until(self, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        self._reap()
        while self._has_children and time.monotonic() < deadline:
            self._poll(poll, deadline)
            self._reap()

    def _poll(self, poll: select.poll, deadline: float | None) -> None:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        for descriptor, _ in poll.poll(timeout):
            if descriptor == self._wakeup:
                os.read(self._wakeup, 4096)

    def _kill_all(self) -> None:
        for leader in self._runs:
            kill_group(leader)
        for pid in children_of(os.getpid()):
            kill(pid)


def _wake_on_child_end() -> int:
    """A descriptor that can be read after SIGCHLD."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return readable
