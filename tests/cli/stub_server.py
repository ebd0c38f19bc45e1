"""A stand-in for the server that answers what a test tells it to, and remembers what it was asked."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Answer:
    """`pieces` are sent one by one instead of the body; `breaks` closes the connection where more is expected.

    The answer comes after `delay` seconds.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] | None = None
    breaks: bool = False
    delay: float = 0.0


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Stub:
    """`answers` maps "GET /path" to answers: the first is used up, the last one stays."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self._answers: dict[str, deque[Answer]] = {}
        self._lock = threading.Lock()

    def tell(self, request: str, *answers: Answer) -> None:
        self._answers[request] = deque(answers)

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            answers = self._answers.get(f"{asked.method} {asked.path}")
            if not answers:
                return problem(404, "Not found")
            return answers.popleft() if len(answers) > 1 else answers[0]


def of(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def problem(status: int, detail: str, errors: list[dict[str, str]] | None = None, **headers: str) -> Answer:
    body: dict[str, Any] = {"type": "about:blank", "title": "A problem", "status": status, "detail": detail}
    return of({**body, **({"errors": errors} if errors else {})}, status, **headers)


def events(*frames: tuple[str, str, object], breaks: bool = False) -> Answer:
    """A stream of events: type, id and data of each."""
    pieces = tuple(f"event: {name}\nid: {key}\ndata: {json.dumps(data)}\n\n".encode() for name, key, data in frames)
    return Answer(200, b"", {"Content-Type": "text/event-stream"}, pieces, breaks)


def job(job_id: int = 1, state: str = "completed", **members: object) -> dict[str, Any]:
    """A job as the server shows it, coherent with its state."""
    is_final = state in ("completed", "failed", "cancelled")
    has_run = state not in ("scheduled", "available")
    return {
        "id": job_id,
        "state": state,
        "type": "http",
        "summary": "POST example.com/mails",
        "priority": 500,
        "context": "default",
        "command": {"type": "http", "url": "https://example.com/mails", "method": "POST"},
        "attempt": int(has_run),
        "max_attempts": 1,
        "run_at": "2026-11-24T09:30:00.000000Z",
        "created_at": "2026-11-24T09:30:00.000000Z",
        "started_at": "2026-11-24T09:30:01.000000Z" if has_run else None,
        "ended_at": "2026-11-24T09:30:02.500000Z" if is_final else None,
        "outcome": "succeeded" if state == "completed" else ("failed" if is_final else None),
        "exit_code": (200 if state == "completed" else 500) if is_final else None,
        "error": "HTTP status 500" if state == "failed" else None,
        "reason": "HTTP status 500, and no attempt is left" if state == "failed" else "",
        "parent_id": None,
        **members,
    }


@contextmanager
def running_stub() -> Iterator[Stub]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.stub = Stub(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.stub
        server.shutdown()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that leaves early is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, url.path, dict(parse_qsl(url.query)), headers, body)
        answer = self.server.stub.answer(asked)
        time.sleep(answer.delay)
        self.send_response(answer.status)
        for name, value in {**answer.headers, **_length(answer)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        for piece in answer.pieces or ():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        if answer.breaks:
            self.close_connection = True
        elif answer.pieces is not None:
            self.wfile.write(b"0\r\n\r\n")

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 (http.server's names)

    def log_message(self, *_: object) -> None:
        pass


def _length(answer: Answer) -> dict[str, str]:
    if answer.pieces is not None:
        return {"Transfer-Encoding": "chunked"}
    return {"Content-Length": str(len(answer.body) + answer.breaks)}
