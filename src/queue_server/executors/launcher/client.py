"""The server's side of the launcher: starts the process, and follows the programs that it runs."""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from queue_server.domain.errors import CannotStart
from queue_server.executors.launcher.marks import kill_marked
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
from queue_server.executors.launcher.processes import signal_name

READY_WITHIN_S = 30.0
"""How long a new launcher may take to answer, on the slowest machine."""

LEAVE_WITHIN_S = 10.0
"""How long the launcher may take to leave when its channel ends; its programs get about half of that."""

INHERITED = ("PATH", "LD_LIBRARY_PATH")
"""What the interpreter may need to start. Programs get their own environment, not the launcher's."""


class Program(NamedTuple):
    """What to start; all bytes as the kernel takes them."""

    argv: list[bytes]
    environment: dict[bytes, bytes]
    directory: bytes
    wrapper: list[bytes] = []  # noqa: RUF012 (see Start for this and the next)
    identity: tuple[int, int, list[int]] | None = None
    limits: list[tuple[int, int]] = []  # noqa: RUF012 (never changed)


class Lost(NamedTuple):
    """The launcher died while the program ran. What was left of the run has been killed."""

    reason: str


End = Ended | Refused | Lost


class Run:
    """A program that the launcher was asked to start. It always ends, if only because the launcher does."""

    def __init__(self, end: asyncio.Future[End], send_signal: Callable[[int], None]) -> None:
        self._end = end
        self._send_signal = send_signal

    @property
    def end(self) -> End | None:
        """How it ended; None while it runs."""
        return self._end.result() if self._end.done() else None

    async def ends_within(self, seconds: float) -> bool:
        """Wait for the end, at most this long; say whether it came. To cancel this does not end the run."""
        if not self._end.done():
            await asyncio.wait((self._end,), timeout=seconds)
        return self._end.done()

    def signal(self, number: int) -> None:
        """Signal the whole process group, unless the run has ended."""
        if not self._end.done():
            self._send_signal(number)


class Launcher:
    """A launcher process. Once it `is_gone`, another has to be started."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._channel = Channel(connection)
        self._numbers = itertools.count(1)
        self._ends: dict[int, asyncio.Future[End]] = {}
        self._is_ready: asyncio.Future[bool] = self._loop.create_future()
        self._burial: asyncio.Task[None] | None = None
        self._loop.add_reader(self._channel.fileno(), self._on_readable)

    @classmethod
    async def start(cls, files: int = 0) -> "Launcher":
        """Start the process and wait until it answers; CannotStart when it doesn't. See __main__ for `files`."""
        launcher = cls(*_start_process(files))
        try:
            await asyncio.wait((launcher._is_ready,), timeout=READY_WITHIN_S)
        except asyncio.CancelledError:
            await launcher.close()
            raise
        if not launcher._is_ready.done() or launcher.is_gone:
            await launcher.close()
            raise CannotStart("the launcher process, which starts the commands of exec jobs, does not answer")
        return launcher

    @property
    def is_gone(self) -> bool:
        """Whether the process has died or was told to leave."""
        return self._burial is not None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def run(self, program: Program, descriptors: Sequence[int]) -> Run:
        """Start a program with these stdout, stderr and perhaps stdin; they are closed once they are sent."""
        number = next(self._numbers)
        end = self._ends[number] = self._loop.create_future()
        try:
            self._send(Start(number, *program), descriptors)
        except OSError as error:  # no memory or no descriptor for a long message
            close_all(descriptors)
            self._finish(Refused(number, f"can't be handed to the launcher: {error.strerror}"))
        return Run(end, lambda signal_number: self._send(Signal(number, int(signal_number))))

    async def close(self) -> None:
        """Tell the process to end what it runs and to leave, and wait until it has."""
        await asyncio.shield(self._burial or self._bury())

    def _send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        if self.is_gone:
            return
        self._channel.send(message, descriptors)
        if self._channel.has_waiting:
            self._loop.add_writer(self._channel.fileno(), self._on_writable)

    def _on_writable(self) -> None:
        self._channel.flush()
        if not self._channel.has_waiting:
            self._loop.remove_writer(self._channel.fileno())

    def _on_readable(self) -> None:
        try:
            while (received := self._channel.receive()) is not None:
                self._take(received[0])
        except EOFError:
            self._bury()

    def _take(self, message: Message) -> None:
        match message:
            case Ended() | Refused():
                self._finish(message)
            case Ready():
                self._is_ready.set_result(True)
            case Start() | Signal():
                pass  # these go the other way only

    def _finish(self, end: Ended | Refused) -> None:
        self._ends.pop(end.run).set_result(end)

    def _bury(self) -> asyncio.Task[None]:
        """End the channel, by which the process leaves if it has not yet, and see it out."""
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._burial = self._loop.create_task(self._see_out())
        return self._burial

    async def _see_out(self) -> None:
        """Only when nothing is left of the runs are they told that they are lost."""
        how = await asyncio.to_thread(_see_out, self._process)
        for end in self._ends.values():
            end.set_result(Lost(f"the launcher process died ({how}), and the command was killed with it"))
        self._ends.clear()
        if not self._is_ready.done():
            self._is_ready.set_result(False)


def _start_process(files: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            [sys.executable, "-I", "-m", "queue_server.executors.launcher", str(theirs.fileno()), str(files)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in INHERITED if name in os.environ} | {"LANG": "C.UTF-8"},
            start_new_session=True,
        )
    return process, ours


def _see_out(process: subprocess.Popen[bytes]) -> str:
    """Wait for the process's end, or bring it about; kill what it left, unless it left in good order; say how."""
    try:
        status = process.wait(LEAVE_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    if status:
        kill_marked(process.pid)
    return signal_name(-status) if status < 0 else f"exit code {status}"
