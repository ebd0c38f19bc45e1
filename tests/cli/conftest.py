from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.real_server import running_server
from tests.cli.running import CommandLine
from tests.cli.stub_server import Stub, running_stub
from tests.support.fixtures import target

__all__ = ["target"]


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture
def qs(tmp_path: Path, stub: Stub) -> CommandLine:
    """The command line, talking to the stub."""
    return CommandLine(tmp_path, stub.url)


@pytest.fixture
def alone(tmp_path: Path) -> CommandLine:
    """The command line, without a server."""
    return CommandLine(tmp_path)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line, talking to a real server that the module's tests share."""
    with running_server(tmp_path_factory.mktemp("server")) as command_line:
        yield command_line
