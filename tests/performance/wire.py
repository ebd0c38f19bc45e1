"""The few bytes of HTTP/1.1 that the generator, the target and the probes need; not a client for anything else."""

import re
import socket

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"


def request(method: str, path: str, port: int, body: bytes = b"") -> bytes:
    """The bytes of one request to a server on loopback, keeping the connection alive."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def message_length(buffer: bytes) -> int:
    """The length of the first message in `buffer`, 0 while its head is incomplete; the rest of its body may be missing."""
    end = buffer.find(HEAD_END)
    if end < 0:
        return 0
    length = LENGTH.search(buffer, 0, end + 2)
    return end + len(HEAD_END) + (int(length[1]) if length else 0)


def succeeded(answer: bytes) -> bool:
    """Is this the beginning of an answer with status 200?"""
    return answer.startswith(b"HTTP/1.1 200")


class Connection:
    """One blocking keep-alive connection to a server on loopback. OSError when it can't be made, is lost or is too slow."""

    def __init__(self, port: int, timeout_s: float = 10.0) -> None:
        self._port = port
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Send one request and return the body of its answer; OSError when the status is not 200."""
        self._socket.sendall(request(method, path, self._port, body))
        answer = b""
        while not (length := message_length(answer)) or len(answer) < length:
            chunk = self._socket.recv(65_536)
            if not chunk:
                raise ConnectionResetError(f"the server closed the connection during {method} {path}")
            answer += chunk
        if not succeeded(answer):
            raise OSError(f"{method} {path} was answered with {answer[:500]!r}")
        return answer.partition(HEAD_END)[2]

    def close(self) -> None:
        self._socket.close()
