import socket
from collections.abc import Iterator

import pytest

from queue_server.client import Client
from tests.cli.real_server import running_server
from tests.cli.running import CommandLine
from tests.cli.stub_server import Stub, running_stub
from tests.client.talking import AsyncTalk, SyncTalk, Talk


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
