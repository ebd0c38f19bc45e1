"""What the server and its launcher say to each other, and the channel that carries it.

The channel is a SOCK_SEQPACKET socket pair: the kernel keeps the bounds of a message and the descriptors that belong
to it together, so nothing is framed or glued here. Messages are written with marshal: both ends run the same
interpreter, nobody else can write to the socket, and the launcher need not import a library for it.
"""

import marshal
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

INLINE_LIMIT = 32 * 1024
"""Bytes of a message that go through the socket itself; a longer one travels as a file in memory."""

MAX_DESCRIPTORS = 4
"""A program's stdin, stdout and stderr, and the file of a long message."""


class Ready(NamedTuple):
    """Launcher to server, once: programs can be started."""


class Start(NamedTuple):
    """Server to launcher: start a program. With it come stdout, stderr and, if there is an input, stdin."""

    run: int
    argv: list[bytes]
    environment: dict[bytes, bytes]
    directory: bytes


class Signal(NamedTuple):
    """Server to launcher: send a signal to the process group of a run, if it has not ended."""

    run: int
    number: int


class Refused(NamedTuple):
    """Launcher to server: the program can't be started, and why."""

    run: int
    reason: str


class Ended(NamedTuple):
    """Launcher to server: the program ended; `status` is its exit code, or -N when signal N killed it."""

    run: int
    status: int


class Enclosed(NamedTuple):
    """Either way: the message is in the file that is the first descriptor. The channel opens it."""


Message = Ready | Start | Signal | Refused | Ended
_KINDS: tuple[type[Any], ...] = (Ready, Start, Signal, Refused, Ended, Enclosed)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}


class ChannelClosed(Exception):
    """The other side is gone, and all that it said has been received."""


class Channel:
    """Messages over a socket that never blocks: what can't be sent now waits in order until `flush`.

    What waits is bounded by its users: a few messages per run under way.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._waiting: deque[tuple[bytes, Sequence[int]]] = deque()

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    @property
    def has_waiting(self) -> bool:
        """Whether `flush` should be called once the socket can be written."""
        return bool(self._waiting)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send after all that waits. The channel owns the descriptors from now on and closes them when sent."""
        data = _encode(message)
        if len(data) > INLINE_LIMIT:
            data, descriptors = _enclose(data, descriptors)
        self._waiting.append((data, descriptors))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        while self._waiting:
            data, descriptors = self._waiting[0]
            try:
                socket.send_fds(self._socket, [data], descriptors)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):
                self._drop_waiting()  # the reader will see the end of the channel and act on it
                return
            self._waiting.popleft()
            _close_all(descriptors)

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and its descriptors, which are the caller's; None when there is none yet."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(
                self._socket, INLINE_LIMIT, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except ConnectionResetError:
            raise ChannelClosed from None
        if not data:
            raise ChannelClosed
        if flags & socket.MSG_CTRUNC:
            raise OSError("descriptors were lost on the way: too many open files")
        return _decode(data, descriptors)

    def close(self) -> None:
        """End the channel; what waits is dropped."""
        self._drop_waiting()
        self._socket.close()

    def _drop_waiting(self) -> None:
        for _, descriptors in self._waiting:
            _close_all(descriptors)
        self._waiting.clear()


def _encode(message: Message) -> bytes:
    return marshal.dumps((_NUMBERS[type(message)], *message))


def _decode(data: bytes, descriptors: list[int]) -> tuple[Message, list[int]]:
    number, *fields = marshal.loads(data)  # noqa: S302 (only our own process holds the other end)
    message = _KINDS[number](*fields)
    if not isinstance(message, Enclosed):
        return message, descriptors
    with open(descriptors[0], "rb") as file:
        return _decode(file.read(), descriptors[1:])


def _enclose(data: bytes, descriptors: Sequence[int]) -> tuple[bytes, Sequence[int]]:
    enclosure = os.memfd_create("queue-server-message")
    with open(enclosure, "wb", closefd=False) as file:
        file.write(data)
        file.seek(0)
    return marshal.dumps((_NUMBERS[Enclosed],)), [enclosure, *descriptors]


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
