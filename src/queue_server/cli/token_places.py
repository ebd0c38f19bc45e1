"""Where tokens are managed: at the server, or in the database itself where no server has it open.

The first token of a server that other machines can reach has to be there before the server starts.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.options import DEFAULT_SERVER, server_option
from queue_server.cli.setting_options import config_option, setting_options
from queue_server.cli.terminal import say
from queue_server.config.load import load
from queue_server.config.settings import Settings
from queue_server.domain.errors import StoreInUse

if TYPE_CHECKING:
    from queue_server.cli.token_columns import TokenItem
    from queue_server.client.address import Address

F = TypeVar("F", bound=Callable[..., Any])
UNIX = "unix:"
EVERY_ADDRESS: Mapping[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (nothing is bound)
PROBE_S = 1.0


class Place(Protocol):
    """What can be done with tokens. An id that no token has is an error that says so."""

    def create(self, request: Mapping[str, Any]) -> "TokenItem":
        """Make a token."""
        ...

    def tokens(self, *, revoked: bool) -> "Iterator[TokenItem]":
        """The tokens, newest first; with those that have been revoked if wanted."""
        ...

    def get(self, token_id: int) -> "TokenItem":
        """One token."""
        ...

    def revoke(self, token_id: int) -> None:
        """End a token."""
        ...

    def rotate(self, token_id: int, overlap: float) -> "TokenItem":
        """Give a token another text."""
        ...

    @property
    def has_other_admin(self) -> bool:
        """Whether tokens can be managed with something that is not in the list."""
        ...


def place_options(command: F) -> F:
    """--server, --db and --config: what `place_of` takes."""
    return server_option(setting_options("db")(config_option(command)))


def place_of(server: "Address", db: str | None, config: str | None) -> AbstractContextManager[Place]:
    """The server, if one is named or has the database of the settings open; else that database."""
    if click.get_current_context().get_parameter_source("server") is not ParameterSource.DEFAULT:
        if db is not None:
            raise click.UsageError("Give --server or --db, not both.")
        return _server(server)
    settings = load({"db": db}, os.environ, config=config).settings
    from queue_server.cli.token_database import TokenDatabase
    from queue_server.store.open import is_file, sqlite_path

    if not is_file(settings.db):
        return TokenDatabase(settings)  # its nodes read what was changed
    path, url = sqlite_path(settings.db), _url_of(settings)
    if not _is_to_open(path, url):
        return _server(_with_url(server, url))
    try:
        database = TokenDatabase(settings)
    except StoreInUse:
        if not _answers(url):
            raise CommandError(
                f"a server has {path} open, but none answers at {url}; name its address with --server",
                Exit.UNREACHABLE,
            ) from None
        return _server(_with_url(server, url))
    say(f"no server is running on {path}; working on it directly")
    return database


def _server(server: "Address") -> AbstractContextManager[Place]:
    from queue_server.cli.token_server import TokenServer

    return TokenServer(server)


def _with_url(server: "Address", url: str) -> "Address":
    from queue_server.client.address import Address

    return Address(url, server.token)


def _is_to_open(path: Path, url: str) -> bool:
    """Whether to try the database. A new one is made only if no server answers where its server would listen."""
    if path.exists():
        return os.access(path, os.R_OK | os.W_OK)
    return not _answers(url)


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), PROBE_S):
            return True
    except OSError:
        return False


def _url_of(settings: Settings) -> str:
    """Where a server with these settings listens; the usual address where they do not tell."""
    if settings.host.startswith(UNIX) or settings.port == 0 or settings.tls_cert:
        return DEFAULT_SERVER
    host = EVERY_ADDRESS.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
