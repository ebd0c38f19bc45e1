"""The real server as a process of its own, and an HTTP client for it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.raw import Answer
from tests.support.waiting import until

PROGRAM = (sys.executable, "-W", "error", "-m", "queue_server")
ADDRESS = re.compile(r"listens on (https?://127\.0\.0\.1:(\d+))")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FINAL = ("completed", "failed", "cancelled")


class Server:
    """One server on a file in `folder`, or on `db`; `start` may be called again after it has ended."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        db: str | None = None,
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = PROGRAM,
        stderr: int | None = None,
    ) -> None:
        self.folder = folder
        self.db = folder / "q.db"
        self._db_url = db
        self.log_file = folder / "log"
        self.port = 0
        self._flags = flags
        self._environ = environ or {}
        self._program = program
        self._stderr = stderr
        self._log_start = 0
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process and wait for nothing. The second start takes the first one's port."""
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                (*self._program, "serve", "--port", str(self.port), "--db", self.db_url, *self._flags),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log if self._stderr is None else self._stderr,
                cwd=self.folder,
                env=self.environment(),
            )
        return self.process

    def start(self) -> "Server":
        """Start it; it takes jobs when this returns."""
        self.launch()
        return self.wait_ready()

    def wait_ready(self, within_s: float = 30) -> "Server":
        def address() -> re.Match[str] | None:
            assert self.process
            found = ADDRESS.search(self.log)
            assert found or self.process.poll() is None, f"ended with {self.process.returncode}: {self.log}"
            return found

        self.port = int(until(address, within_s, "the address line")[2])
        return self

    def start_unread(self) -> "Server":
        """Start it on a known port, for when its log tells no address; it takes jobs when this returns."""
        self.port = self.port or free_port()
        self.launch()

        def takes_jobs() -> bool:
            assert self.process
            assert self.process.poll() is None, self.log
            try:
                return self.call("GET", "/readyz").status == 200
            except OSError:
                return False

        until(takes_jobs, 60, "the server's start")
        return self

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.folder), **self._environ}

    @property
    def log(self) -> str:
        """What this run of the server has logged."""
        return self.log_file.read_bytes()[self._log_start :].decode("utf-8", "replace")

    @property
    def db_url(self) -> str:
        return self._db_url or f"sqlite:///{self.db}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def ended(self, within_s: float = 20) -> int:
        """Wait for its end; the exit code."""
        assert self.process
        return self.process.wait(within_s)

    def stop(self, within_s: float = 20) -> int:
        self.signal(signal.SIGTERM)
        return self.ended(within_s)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.ended()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Answer:
        """One request on a connection of its own. A body that is not bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON of a 200."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def add(self, command: Mapping[str, Any], **members: Any) -> int:
        """Add a job as `curl -d` would; its id."""
        answer = self.call("POST", "/jobs/add", {"command": command, **members}, FORM)
        assert answer.status == 200, answer
        return answer.json["job_id"]

    def job(self, job_id: int) -> Any:
        return self.get(f"/v1/jobs/{job_id}")

    def wait_state(self, job_id: int, *states: str, within_s: float = 15) -> Any:
        return until(
            lambda: job if (job := self.job(job_id))["state"] in states else None,
            within_s,
            f"job {job_id} in {states}",
        )

    def wait_end(self, job_id: int, within_s: float = 15) -> Any:
        """The job when it is final."""
        return self.wait_state(job_id, *FINAL, within_s=within_s)

    def run(self, command: Mapping[str, Any], **members: Any) -> Any:
        """Add a job and wait for its end."""
        return self.wait_end(self.add(command, **members))

    def output(self, job_id: int, query: str = "") -> bytes:
        answer = self.call("GET", f"/v1/jobs/{job_id}/output{query}")
        assert answer.status == 200, answer
        return answer.body

    def memory_kib(self) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])


@contextmanager
def running(folder: Path, *flags: str, **settings: Any) -> Iterator[Server]:
    """A server that is ended at the end, and must not have had an accident that only its log tells of."""
    server = Server(folder, *flags, **settings)
    try:
        yield server.start()
    finally:
        end(server)
    assert_log_is_well(server)


def end(server: Server) -> None:
    """End it in any case."""
    if server.process is None or server.process.poll() is not None:
        return
    server.signal(signal.SIGTERM)
    try:
        server.ended(10)
    except subprocess.TimeoutExpired:
        server.kill()


def assert_log_is_well(server: Server) -> None:
    log = server.log_file.read_text("utf-8", "replace")
    assert "Traceback" not in log, log
    assert "this is a bug" not in log, log


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def timed(call: Any, *arguments: Any) -> tuple[float, Any]:
    """Seconds that a call took, and its result."""
    start = time.monotonic()
    result = call(*arguments)
    return time.monotonic() - start, result
