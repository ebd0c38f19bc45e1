"""Several nodes on one machine behind one port (setting `processes`): a small parent starts them and stands by.

Each process has a listening socket of its own on the same port (SO_REUSEPORT), so the system shares out connections
evenly. The parent holds all the sockets open: what connects while a process is being restarted waits in its socket's
queue for the next one, and nobody is refused. (One socket for all would let one process take most connections: whoever
is called first accepts all that wait.)
"""

import contextlib
import os
import signal
import socket
from collections.abc import Sequence

import msgspec

from queue_server.clock import Clock, ServerClock
from queue_server.config.settings import Settings
from queue_server.domain.errors import CannotStart
from queue_server.server.place import Place
from queue_server.server.process import end_with_parent
from queue_server.store.open import is_file
from queue_server.telemetry.logs import make_log, open_output
from queue_server.telemetry.systemd import Systemd
from queue_server.web.listener import UNIX, bind

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WATCHED = (*STOP_SIGNALS, signal.SIGCHLD)
TICK_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
LASTING_S = 60.0
"""A process that lived so long and died is started again at once, and the next pause is a short one again."""


def processes_of(settings: Settings) -> Place | int:
    """In each process its place; in the parent, once all have ended, the exit code. CannotStart if it can't be."""
    if is_file(settings.db):
        raise CannotStart(
            f"processes: {settings.processes} processes can't share an SQLite file; set db to a postgresql:// or "
            "mysql:// database, or processes to 1"
        )
    listeners = _listeners(settings)
    outcome = Family(listeners, settings, ServerClock()).run()
    for listener in listeners:
        if isinstance(outcome, int) or listener is not outcome.listener:
            listener.close()
    return outcome


def _listeners(settings: Settings) -> Sequence[socket.socket]:
    """A socket for each process. The first try, without sharing, tells whether another program has the port."""
    alone = bind(settings.host, settings.port)
    if settings.host.startswith(UNIX):
        return [alone] * settings.processes
    port = alone.getsockname()[1]
    alone.close()
    return [bind(settings.host, port, is_shared=True) for _ in range(settings.processes)]


class Child(msgspec.Struct):
    """A process. `told` is where it says that it is up."""

    number: int
    started_at: float
    told: int
    pause_s: float
    is_up: bool = False

    def look(self) -> bool:
        """Whether it is up by now."""
        if not self.is_up:
            with contextlib.suppress(BlockingIOError):
                self.is_up = os.read(self.told, 1) != b""
        return self.is_up


class Family:
    """The processes and their parent, which has one thread: it forks."""

    def __init__(self, listeners: Sequence[socket.socket], settings: Settings, clock: Clock) -> None:
        self._listeners = listeners
        self._settings = settings
        self._clock = clock
        self._systemd = Systemd(os.environ)
        self._children: dict[int, Child] = {}
        self._due = dict.fromkeys(range(1, len(listeners) + 1), 0.0)
        self._pauses = dict.fromkeys(self._due, FIRST_PAUSE_S)
        self._is_up = False
        self._is_stopping = False
        self._code = 0

    def run(self) -> Place | int:
        """The place of a process, in that process; in the parent the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        while self._children or self._due:
            if place := self._start_due():
                return place
            self._wait()
            self._tell_systemd()
        return self._code

    def _start_due(self) -> Place | None:
        now = self._clock.monotonic()
        for number in [number for number, at in self._due.items() if at <= now]:
            del self._due[number]
            if place := self._start(number, now):
                return place
        return None

    def _start(self, number: int, now: float) -> Place | None:
        """Fork; the place is for the new process."""
        told, tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        parent = os.getpid()
        if pid := os.fork():
            os.close(tell)
            self._children[pid] = Child(number, now, told, self._pauses[number])
            return None
        os.setpgid(0, 0)  # Ctrl-C comes from the parent only, not from the terminal as well
        end_with_parent(parent)
        for child in self._children.values():
            os.close(child.told)
        os.close(told)
        for variable in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
            os.environ.pop(variable, None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        return Place(self._listeners[number - 1], number, lambda: _tell(tell))

    def _wait(self) -> None:
        seconds = min([TICK_S, *[max(0.0, at - self._clock.monotonic()) for at in self._due.values()]])
        found = signal.sigtimedwait(WATCHED, seconds)
        if found is not None and found.si_signo != signal.SIGCHLD:
            self._pass_on(found.si_signo)
        self._reap()

    def _pass_on(self, number: int) -> None:
        """Have all do what the signal asks for. With TLS, SIGHUP ends none (see server/life.py)."""
        if number != signal.SIGHUP or not self._settings.tls_cert:
            self._stop()
        for pid in self._children:
            os.kill(pid, number)

    def _stop(self) -> None:
        self._is_stopping = True
        self._due.clear()
        self._systemd.notify("STOPPING=1")

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            child = self._children.pop(pid)
            was_up = child.look()
            os.close(child.told)
            self._ended(child, os.waitstatus_to_exitcode(status), was_up)

    def _ended(self, child: Child, code: int, was_up: bool) -> None:
        if self._is_stopping:
            self._code = self._code or (code if code >= 0 else 1)
        elif not (was_up or self._is_up):
            self._code = code if code > 0 else 1  # it has said why it can't start; the others can't either
            self._pass_on(signal.SIGTERM)
        else:
            self._start_again(child, code)

    def _start_again(self, child: Child, code: int) -> None:
        now = self._clock.monotonic()
        lasted = now - child.started_at >= LASTING_S or code == 0
        pause_s = 0.0 if lasted else child.pause_s
        self._pauses[child.number] = FIRST_PAUSE_S if lasted else min(2 * child.pause_s, LONGEST_PAUSE_S)
        self._due[child.number] = now + pause_s
        how = f"signal {-code}" if code < 0 else f"code {code}"
        self._say(f"process {child.number} has ended with {how}: it is started again in {pause_s:g} s")

    def _say(self, line: str) -> None:
        """Log a line, and let the log's thread end before the next fork."""
        output = open_output(self._settings.log_format, self._clock, os.environ)
        make_log(output, self._settings.log_level).warning(line)
        output.sink.close()

    def _tell_systemd(self) -> None:
        """READY once all are up for the first time; then that the parent lives."""
        if not self._is_up and len(self._children) == len(self._listeners):
            self._is_up = all(child.look() for child in self._children.values())
            if self._is_up:
                self._systemd.notify(f"READY=1\nSTATUS={len(self._listeners)} processes")
        if self._is_up and self._systemd.watchdog_s is not None:
            self._systemd.notify("WATCHDOG=1")


def _tell(pipe: int) -> None:
    os.write(pipe, b"1")
    os.close(pipe)
