"""The few bytes of HTTP/1.1 that the generator, the target and the probes need; no more."""

import re
import socket
import time

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"
TIMEOUT_S = 10.0
IDLE_S = 2.0  # uvicorn closes connections that were idle for 5 s


def request(method: str, path: str, port: int, body: bytes = b"", token: str = "") -> bytes:
    """The bytes of one request to a server on loopback, keeping the connection alive."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def message_length(buffer: bytes) -> int:
    """The length of the first message in `buffer`, 0 while its head is incomplete; its body may be."""
    end = buffer.find(HEAD_END)
    if end < 0:
        return 0
    length = LENGTH.search(buffer, 0, end + 2)
    return end + len(HEAD_END) + (int(length[1]) if length else 0)


def succeeded(answer: bytes) -> bool:
    """Is this the beginning of an answer with status 200 or 201?"""
    return answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201"))


class Connection:
    """One blocking keep-alive connection to a server on loopback; OSError when it fails or is too slow."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connect()

    def exchange(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Send one request and return the body of its answer; OSError when the status is neither 200 nor 201."""
        if time.monotonic() - self._used > IDLE_S:
            self.close()
            self._connect()
        self._socket.sendall(request(method, path, self._port, body))
        answer = b""
        while not (length := message_length(answer)) or len(answer) < length:
            chunk = self._socket.recv(65_536)
            if not chunk:
                raise ConnectionResetError(f"the server closed the connection during {method} {path}")
            answer += chunk
        self._used = time.monotonic()
        if not succeeded(answer):
            raise OSError(f"{method} {path} was answered with {answer[:500]!r}")
        return answer.partition(HEAD_END)[2]

    def begin(self, method: str, path: str) -> None:
        """Send a request whose answer is read with `read_until`."""
        self._socket.sendall(request(method, path, self._port))
        self._answer = b""

    def read_until(self, mark: bytes) -> None:
        """Read on until the mark, which has not been read before, has come; OSError if it never does."""
        while mark not in self._answer:
            chunk = self._socket.recv(65_536)
            if not chunk:
                raise ConnectionResetError(f"the server closed the connection before {mark!r}: {self._answer[:500]!r}")
            self._answer += chunk
        self._answer = self._answer.partition(mark)[2]

    def close(self) -> None:
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used = time.monotonic()
