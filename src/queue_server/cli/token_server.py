"""Tokens, managed by asking the server."""

from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar

from queue_server.cli.client import USER_AGENT
from queue_server.cli.token_columns import TokenItem
from queue_server.client.address import Address
from queue_server.client.asking import ask
from queue_server.client.composing import encode
from queue_server.client.connection import Options
from queue_server.client.exchange import Call, Request
from queue_server.client.paging import listed
from queue_server.client.reading import no_content, reads, reads_page
from queue_server.client.results import Page
from queue_server.client.sync_connection import SyncConnection
from queue_server.client.sync_steps import items_of, result_of

T = TypeVar("T")
PATH = "/v1/tokens"
HEADERS = {"Content-Type": "application/json"}


class TokenServer:
    """See Place."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._connection = SyncConnection(Options(address=server, user_agent=USER_AGENT))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def has_other_admin(self) -> bool:
        """See Place: who has shown a token may manage tokens."""
        return self._server.token is not None

    def create(self, request: Mapping[str, Any]) -> TokenItem:
        """See Place."""
        return self._ask(Call(_post(PATH, request), reads(TokenItem)))

    def tokens(self, *, revoked: bool) -> Iterator[TokenItem]:
        """See Place."""
        return items_of(self._connection, listed(_page, {"revoked": revoked}, None, 0.0))

    def get(self, token_id: int) -> TokenItem:
        """See Place."""
        return self._ask(Call(Request(method="GET", **_of(token_id)), reads(TokenItem)))

    def revoke(self, token_id: int) -> None:
        """See Place."""
        self._ask(Call(Request(method="DELETE", **_of(token_id)), no_content))

    def rotate(self, token_id: int, overlap: float) -> TokenItem:
        """See Place."""
        return self._ask(Call(_post(f"{PATH}/{token_id}/rotate", {"overlap": overlap}), reads(TokenItem)))

    def _ask(self, call: Call[T]) -> T:
        return result_of(self._connection, ask(call, 0.0))


def _page(query: Mapping[str, Any]) -> Call[Page[TokenItem]]:
    cursor = f"&cursor={query['cursor']}" if query["cursor"] else ""
    revoked = "true" if query["revoked"] else "false"
    path = f"{PATH}?revoked={revoked}&limit={query['limit']}{cursor}"
    return Call(Request(method="GET", path=path), reads_page(TokenItem))


def _of(token_id: int) -> dict[str, Any]:
    return {"path": f"{PATH}/{token_id}", "subject": f"token {token_id}"}


def _post(path: str, body: Mapping[str, Any]) -> Request:
    return Request(method="POST", path=path, body=encode(body), headers=HEADERS)
