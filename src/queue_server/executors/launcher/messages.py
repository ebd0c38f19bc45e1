"""What the server and its launcher say to each other, and the channel that carries it.

The channel is a pair of SOCK_SEQPACKET sockets: the kernel keeps the bounds of each message and the
descriptors that belong to it, so nothing has to be framed. Messages are written with marshal: both ends run
the same interpreter, nobody else holds the sockets, and the launcher need not load a library for it.
"""

import marshal
import os
import socket
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

INLINE_LIMIT = 32 * 1024
"""Bytes of a message that go through the socket itself; a longer one travels as a file in memory."""

MAX_DESCRIPTORS = 4
"""A program's stdin, stdout and stderr, and the file of a long message."""

_EXTRA_SIZE = socket.CMSG_SPACE(MAX_DESCRIPTORS * array("i").itemsize)


class Ready(NamedTuple):
    """Launcher to server, once: programs can be started."""


class Start(NamedTuple):
    """Server to launcher: start a program. With it come stdout, stderr and, if there is an input, stdin.

    It runs within `wrapper`, the command line of a sandbox, if that is not empty; as `identity` (user, group, groups)
    if there is one; and under `limits`, pairs of a resource of setrlimit(2) and its value.
    """

    run: int
    argv: list[bytes]
    environment: dict[bytes, bytes]
    directory: bytes
    wrapper: list[bytes] = []  # noqa: RUF012 (a NamedTuple's default, never changed)
    identity: tuple[int, int, list[int]] | None = None
    limits: list[tuple[int, int]] = []  # noqa: RUF012 (as above)


class Signal(NamedTuple):
    """Server to launcher: send a signal to the process group of a run, unless it has ended."""

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
    """Either way: the message is in the file that is the first descriptor. Only the channel sees this one."""


Message = Ready | Start | Signal | Refused | Ended
_KINDS: tuple[Callable[..., Message | Enclosed], ...] = (Ready, Start, Signal, Refused, Ended, Enclosed)
_NUMBERS: dict[object, int] = {kind: number for number, kind in enumerate(_KINDS)}


class Channel:
    """Messages over a socket, without ever blocking: what can't be sent now waits in order until `flush`.

    What waits is bounded by those who send: a few messages for each run under way.
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
        """Send after all that waits. The descriptors are closed once they are sent.

        OSError when a long message can't be stored; the descriptors are the caller's still.
        """
        data = _encode(message)
        if len(data) > INLINE_LIMIT:
            data, descriptors = _enclose(data, descriptors)
        self._waiting.append((data, descriptors))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it now."""
        while self._waiting:
            data, descriptors = self._waiting[0]
            try:
                socket.send_fds(self._socket, [data], descriptors)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):
                self._drop_waiting()  # `receive` will tell
                return
            self._waiting.popleft()
            close_all(descriptors)

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and its descriptors, which are the caller's; None when there is none now.

        EOFError when the other side is gone and all that it said has been received.
        """
        try:
            data, extra, flags, _ = self._socket.recvmsg(INLINE_LIMIT, _EXTRA_SIZE, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        except ConnectionResetError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        if flags & socket.MSG_CTRUNC:
            raise OSError("too many open files: descriptors were lost on the way")
        return _decode(data, _descriptors_in(extra))

    def close(self) -> None:
        """End the channel; what waits is dropped."""
        self._drop_waiting()
        self._socket.close()

    def _drop_waiting(self) -> None:
        while self._waiting:
            close_all(self._waiting.popleft()[1])


def close_all(descriptors: Sequence[int]) -> None:
    """Close each of them."""
    for descriptor in descriptors:
        os.close(descriptor)


def _descriptors_in(extra: list[tuple[int, int, bytes]]) -> list[int]:
    """Not by socket.recv_fds: it forgets to pass on the flag that keeps programs from inheriting them."""
    descriptors = array("i")
    for _, _, packed in extra:
        descriptors.frombytes(packed)
    return descriptors.tolist()


def _encode(message: Message | Enclosed) -> bytes:
    return marshal.dumps((_NUMBERS[type(message)], *message))


def _decode(data: bytes, descriptors: list[int]) -> tuple[Message, list[int]]:
    number, *fields = marshal.loads(data)  # noqa: S302 (only our own process holds the other end)
    message = _KINDS[int(number)](*fields)
    if not isinstance(message, Enclosed):
        return message, descriptors
    with os.fdopen(descriptors[0], "rb") as file:
        return _decode(file.read(), descriptors[1:])


def _enclose(data: bytes, descriptors: Sequence[int]) -> tuple[bytes, Sequence[int]]:
    enclosure = os.memfd_create("queue-server-message")
    with os.fdopen(enclosure, "wb", closefd=False) as file:
        file.write(data)
        file.seek(0)
    return _encode(Enclosed()), [enclosure, *descriptors]
