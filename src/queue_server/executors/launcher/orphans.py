"""What a run left behind: finding whose it was, killing it.

The launcher is a subreaper (prctl(2)): a process whose parent died becomes its child, wherever it moved to.
Such an orphan belongs to the run that its session or its marks name, and dies with all its descendants once that run
has ended. One that names none took trouble to hide, and dies when it has been seen twice.
"""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress

from queue_server.executors.launcher.marks import marked_run
from queue_server.executors.launcher.processes import Process, descendants, processes, signal_group, signal_seen

LOOK_EVERY_S = 0.1
"""To look for orphans is to read all of /proc, so it is done at most this often, …"""

LOOK_SHARE = 20
"""… and with at most one part in this many of a core, however many processes the machine has."""

FREEZE_WITHIN_S = 0.5
"""How long the launcher may be busy with stopping those that go on forking; what is left then has its turn again."""


class Orphans:
    """The launcher's children that it did not start. `due_at` is when to look for them, if at all."""

    def __init__(self) -> None:
        self.due_at: float | None = None
        self._not_before = 0.0
        self._launcher = os.getpid()
        self._hidden: set[int] = set()
        self._killed: set[int] = set()

    def expect(self) -> None:
        """A process ended and there are others: some may be orphans now."""
        if self.due_at is None:
            self.due_at = self._not_before

    def forget(self, pid: int) -> None:
        """The process was reaped: its pid may come back as another's."""
        self._hidden.discard(pid)
        self._killed.discard(pid)

    def kill_if_due(self, runs: Mapping[int, int]) -> None:
        """Kill the orphans whose run has ended, if it is time to. `runs`: those under way, by leader."""
        now = time.monotonic()
        if self.due_at is None or now < self.due_at:
            return
        self.due_at = None
        used = time.process_time()
        known = len(self._hidden)
        found = self._kill_abandoned(runs)
        pause = 0.0 if found else max(LOOK_EVERY_S, LOOK_SHARE * (time.process_time() - used))
        self._not_before = now + pause
        if len(self._hidden) > known:
            self.expect()

    def _kill_abandoned(self, runs: Mapping[int, int]) -> bool:
        """Say whether there were any. One that can't be killed, as it is another user's, counts once.

        They are stopped first, all of them: where some are killed while others fork, those take the places that become
        free within their limit, and the race may never end.
        """
        frozen: dict[int, Process] = {}
        deadline = time.monotonic() + FREEZE_WITHIN_S
        if self._freeze(frozen, runs) > 1:
            while self._freeze(frozen, runs) and time.monotonic() < deadline:
                pass
        for process in frozen.values():
            if process.parent == self._launcher:
                self._signal(process.pid, signal.SIGKILL)
                self._killed.add(process.pid)
            else:
                signal_seen(process, signal.SIGKILL)
        return bool(frozen)

    def _freeze(self, frozen: dict[int, Process], runs: Mapping[int, int]) -> int:
        """Stop the orphans whose run has ended and all that come from them; how many were not stopped before.

        Each is stopped the moment it is seen: one that starts its successor and ends may be gone a millisecond later.
        """
        before = len(frozen)
        seen: list[Process] = []
        tops: set[int] = set()
        for process in processes():
            seen.append(process)
            if process.parent != self._launcher:
                continue
            if process.pid not in frozen and self._is_abandoned(process, runs):
                self._signal(process.pid, signal.SIGSTOP)
                frozen[process.pid] = process
            if process.pid in frozen:
                tops.add(process.pid)
        for process in descendants(tops, seen):
            if process.pid not in frozen:
                signal_seen(process, signal.SIGSTOP)
                frozen[process.pid] = process
        return len(frozen) - before

    def _signal(self, pid: int, number: int) -> None:
        """Signal an orphan, and its whole group at once: no fork of a member is fast enough to escape that."""
        with suppress(OSError):
            group = os.getpgid(pid)
            if group != os.getpgid(0):
                signal_group(group, number)
        with suppress(OSError):
            os.kill(pid, number)

    def _is_abandoned(self, process: Process, runs: Mapping[int, int]) -> bool:
        pid = process.pid
        if pid in runs or pid in self._killed or process.is_dead:
            return False
        run = self._run_of(pid, runs)
        if run is not None:
            return run not in runs.values()
        if pid in self._hidden:
            return True
        self._hidden.add(pid)  # perhaps it was just starting a program
        return False

    def _run_of(self, pid: int, runs: Mapping[int, int]) -> int | None:
        """The run that the process can be seen to belong to, whether that has ended or not."""
        with suppress(OSError):
            if (leader := os.getsid(pid)) in runs:
                return runs[leader]
        return marked_run(pid, self._launcher)
