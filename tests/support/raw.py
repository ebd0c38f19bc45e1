"""Bytes on a socket, for what no HTTP client would send."""

import socket
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from typing import Any

import msgspec


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def type(self) -> str:
        return self.headers.get("content-type", "")


def connect(port: int, timeout: float = 10, source: str | None = None) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout, None if source is None else (source, 0))


def send_raw(port: int, data: bytes, *, half_close: bool = False, timeout: float = 10) -> bytes:
    """Send bytes, and read until the server closes, has sent a whole answer, or `timeout` is over."""
    with connect(port, timeout) as channel:
        try:
            channel.sendall(data)
            if half_close:
                channel.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered and closed before we were done
        return read_answer(channel)


def read_answer(channel: socket.socket) -> bytes:
    """One answer with its body, or what came before the connection was closed."""
    data = b""
    while not _is_whole(data):
        try:
            piece = channel.recv(65536)
        except (ConnectionResetError, TimeoutError):
            break
        if not piece:
            break
        data += piece
    return data


def parse(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    line, _, lines = head.partition(b"\r\n")
    assert line.startswith(b"HTTP/1.1 "), data[:200]
    return Answer(int(line.split()[1]), BytesParser().parsebytes(lines + b"\r\n\r\n"), body)


def _is_whole(data: bytes) -> bool:
    if b"\r\n\r\n" not in data:
        return False
    answer = parse(data)
    return len(answer.body) >= int(answer.headers.get("content-length", 0))
