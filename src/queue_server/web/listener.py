"""The listening socket and the uvicorn server on it."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from queue_server.config.settings import Settings
from queue_server.domain.errors import CannotStart
from queue_server.web.gate import Gate
from queue_server.web.held import HeldBodies, held_most
from queue_server.web.protocol import Protocol
from queue_server.web.tls import Tls

BACKLOG = 2048
KEEP_ALIVE_S = 75
UNIX = "unix:"
DATE_S = 1.0
LAST_ANSWERS_S = 5
"""How long open requests may take to end once the server stops."""


class WebServer(uvicorn.Server):
    """uvicorn without its signal handlers: the process's life is decided in server/life.py."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Take no more connections, and let `serve` return when the open requests have ended."""
        self.should_exit = True
        self._stopped.set()

    async def main_loop(self) -> None:
        """Renew the Date header each second, until told to stop (uvicorn looks for that ten times a second)."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_S):
                    await self._stopped.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals alone."""
        yield


def web_server(app: ASGIApp, tls: Tls | None, settings: Settings) -> WebServer:
    """A uvicorn server for `app`, to be given its sockets when it serves."""
    gate = Gate(settings.max_connections, settings.max_connections_per_address)
    held = HeldBodies(held_most(settings.max_batch))
    config = uvicorn.Config(
        app,
        loop="none",
        http=cast("type[Protocol]", partial(Protocol, gate, held)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=LAST_ANSWERS_S,
        backlog=BACKLOG,
    )
    config.load()
    config.ssl = None if tls is None else tls.context
    return WebServer(config)


def bind(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """A socket bound to the address, or CannotStart with one line that says why not.

    A port that is shared may have several sockets of this user, all of which say so.
    """
    if host.startswith(UNIX):
        return _bind_unix(Path(host.removeprefix(UNIX)))
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return _bound(socket.socket(family, kind, protocol), address, is_shared=is_shared)
    except OSError as error:
        raise CannotStart(f"can't listen on {host} port {port}: {_why(error, '--port')}") from None


def _bound(listener: socket.socket, address: Any, *, is_shared: bool) -> socket.socket:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket, *, is_tls: bool = False) -> str:
    """The address for people: http://127.0.0.1:1337, or unix:/path."""
    if listener.family == socket.AF_UNIX:
        return UNIX + str(listener.getsockname())
    host, port = listener.getsockname()[:2]
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can connect."""
    if listener.family == socket.AF_UNIX:
        return True
    host = str(listener.getsockname()[0])
    return host.startswith("127.") or host == "::1"


def _bind_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
        os.chmod(path, 0o660)  # noqa: PTH101 (a socket's path)
    except OSError as error:
        listener.close()
        raise CannotStart(f"can't listen on {path}: {_why(error, '--host')}") from None
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _why(error: OSError, flag: str) -> str:
    text = (error.strerror or str(error)).lower()
    return f"{text}; choose another with {flag}" if "in use" in text else text
