"""A line to a server that breaks as it is told: what clients see of crashes, proxies and bad networks."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from tests.support.raw import connect, read_answer

Fate = Callable[[socket.socket, bytes], None]
"""What becomes of an answer on its way to the client."""


def whole(client: socket.socket, answer: bytes) -> None:
    client.sendall(answer)


def lost(client: socket.socket, answer: bytes) -> None:
    """Nothing arrives: the connection is closed in order."""


def torn(client: socket.socket, answer: bytes) -> None:
    """Nothing arrives: the connection is reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut(client: socket.socket, answer: bytes) -> None:
    """The head and all but the last ten bytes of the body arrive."""
    client.sendall(answer[:-10])


class Line:
    """Hands each request on to the server, whole, and its answer back as the request's fate says."""

    def __init__(self, server_port: int, *fates: Fate, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._server_port = server_port
        self._fates: Sequence[Fate] = fates or (whole,)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="line", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                with suppress(ConnectionError, TimeoutError, ssl.SSLError):
                    self._carry(client)

    def _carry(self, client: socket.socket) -> None:
        client.settimeout(20)
        with closing(self._tls.wrap_socket(client, server_side=True) if self._tls else client) as channel:
            request = _read_request(channel)
            self.requests.append(request)
            fate = self._fates[min(len(self.requests), len(self._fates)) - 1]
            fate(channel, _ask(self._server_port, request))


def _read_request(channel: socket.socket) -> bytes:
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if end and len(body) >= sum(lengths):
            return data
        piece = channel.recv(65536)
        if not piece:
            raise ConnectionError("the client went away")
        data += piece


def _ask(port: int, request: bytes) -> bytes:
    with connect(port, 60) as channel:
        channel.sendall(request)
        return read_answer(channel)


@contextmanager
def line_to(server_port: int, *fates: Fate, tls: ssl.SSLContext | None = None) -> Iterator[Line]:
    line = Line(server_port, *fates, tls=tls)
    try:
        yield line
    finally:
        line.close()
