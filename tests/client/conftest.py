import queue
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from queue_server.client import Client
from tests.cli.real_server import running_server
from tests.cli.running import CommandLine
from tests.cli.stub_server import Stub, running_stub
from tests.client.talking import AsyncTalk, SyncTalk, Talk
from tests.support.fixtures import target

__all__ = ["target"]


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture(params=[SyncTalk, AsyncTalk], ids=["sync", "async"])
def talk(request: pytest.FixtureRequest, stub: Stub) -> Iterator[Talk]:
    """Either client, talking to the stub."""
    with request.param(stub.url) as talk:
        yield talk


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A real server that the module's tests share."""
    with running_server(tmp_path_factory.mktemp("server")) as command_line:
        yield command_line


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def client(server: CommandLine) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture(params=[SyncTalk, AsyncTalk], ids=["sync", "async"])
def real(request: pytest.FixtureRequest, server: CommandLine) -> Iterator[Talk]:
    """Either client, talking to the real server."""
    with request.param(server.url) as talk:
        yield talk


class Continuing(ThreadingHTTPServer):
    """A target that goes on past its requests; the job and the claim of each are in `claims`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Continue)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.claims: queue.Queue[tuple[int, int]] = queue.Queue()


class _Continue(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(202)
        self.send_header("X-Queue-Continue", "true")
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.claims.put((int(self.headers["X-Queue-Job-Id"]), int(self.headers["X-Queue-Claim"])))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def continuing() -> Iterator[Continuing]:
    with Continuing() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
