"""What a run left behind: finding whose it was, killing it.

The launcher is a subreaper (prctl(2)): a process whose parent died becomes its child, wherever it moved to.
Such an orphan belongs to the run that its session or its mark names. One that hides both may belong to any
run that was under way when it was first seen, and is killed when the last of these has ended.
"""

import ctypes
import os
import time
from collections.abc import Mapping
from contextlib import suppress

from queue_server.executors.launcher.marks import marked_run
from queue_server.executors.launcher.processes import children_of, kill

LOOK_EVERY_S = 0.1
"""To look for orphans is to read all of /proc, so it is done at most this often, …"""

LOOK_SHARE = 20
"""… and with at most one part in this many of a core, however many processes the machine has."""

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Become the parent of all descendants whose own parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Orphans:
    """The launcher's children that it did not start. `due_at` is when to look for them, if at all."""

    def __init__(self) -> None:
        self.due_at: float | None = None
        self._not_before = 0.0
        self._launcher = os.getpid()
        self._suspects: dict[int, set[int]] = {}
        self._killed: set[int] = set()

    def expect(self) -> None:
        """A process ended and there are others: some may be orphans now."""
        if self.due_at is None:
            self.due_at = self._not_before

    def forget(self, pid: int) -> None:
        """The process was reaped: its pid may come back as another's."""
        self._suspects.pop(pid, None)
        self._killed.discard(pid)

    def kill_if_due(self, runs: Mapping[int, int]) -> None:
        """Kill the orphans whose run has ended, if it is time to. `runs`: those under way, by leader."""
        now = time.monotonic()
        if self.due_at is None or now < self.due_at:
            return
        self.due_at = None
        used = time.process_time()
        known = len(self._suspects)
        found = self._kill_abandoned(runs)
        pause = 0.0 if found else max(LOOK_EVERY_S, LOOK_SHARE * (time.process_time() - used))
        self._not_before = now + pause
        if len(self._suspects) > known:  # perhaps one without a mark was just starting a program: look again
            self.expect()

    def _kill_abandoned(self, runs: Mapping[int, int]) -> bool:
        """Say whether there were any. One that can't be killed, as it is another user's, counts once."""
        abandoned = {pid for pid in children_of(self._launcher) if self._is_abandoned(pid, runs)} - self._killed
        for pid in abandoned:
            kill(pid)
        self._killed |= abandoned
        return bool(abandoned)

    def _is_abandoned(self, pid: int, runs: Mapping[int, int]) -> bool:
        if pid in runs:
            return False
        run = self._run_of(pid, runs)
        if run is not None:
            return run not in runs.values()
        suspects = self._suspects.setdefault(pid, set(runs.values()))
        suspects.intersection_update(runs.values())
        return not suspects

    def _run_of(self, pid: int, runs: Mapping[int, int]) -> int | None:
        """The run that the process can be seen to belong to, whether that has ended or not."""
        with suppress(OSError):
            if (leader := os.getsid(pid)) in runs:
                return runs[leader]
        return marked_run(pid, self._launcher)
