from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.clients.php import Php
from tests.support.fixtures import make_server, path, server, target
from tests.support.server import Server
from tests.support.target import Reply, Request, Target

__all__ = ["make_server", "path", "server", "target"]

Maker = Callable[..., Php]


@pytest.fixture
def make_php(tmp_path: Path) -> Maker:
    """Makes runners of PHP with a client of a url."""

    def make(url: str, **options: Any) -> Php:
        return Php(tmp_path, url, **options)

    return make


@pytest.fixture
def php(make_php: Maker, server: Server) -> Php:
    """PHP with a client of the real server."""
    return make_php(server.url)


class Stub:
    """A server that answers as the test tells it, and PHP with a client of it."""

    def __init__(self, target: Target, base: str, make_php: Maker) -> None:
        self._target = target
        self.base = base
        self._make_php = make_php
        self.url = target.url + base
        self.port = target.port

    def __call__(self, code: str, **values: Any) -> Any:
        return self.php()(code, **values)

    def php(self, **options: Any) -> Php:
        """PHP with a client that has options, or an url, of its own."""
        return self._make_php(**{"url": self.url, "token": "secret", **options})

    def on(self, path: str, *replies: Reply) -> None:
        """Answer requests of a path with these in turn, the last for ever."""
        self._target.on(self.base + path, *replies)

    def of(self, path: str) -> Sequence[Request]:
        """The requests of a path so far."""
        return self._target.of(self.base + path)

    def one(self, path: str) -> Request:
        """The request of a path, of which there must have been one."""
        (request,) = self.of(path)
        return request


@pytest.fixture
def stub(make_php: Maker, target: Target, path: str) -> Stub:
    """A stub whose paths no other test uses."""
    return Stub(target, path, make_php)
