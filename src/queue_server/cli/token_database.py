"""Tokens, managed in a database that no server has open."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar

import msgspec

from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.token_columns import TokenItem
from queue_server.client.results import decode
from queue_server.clock import ServerClock
from queue_server.config.settings import Settings
from queue_server.domain.audit import Act
from queue_server.domain.reading import read_as
from queue_server.domain.tokens import Token, TokenRequest
from queue_server.operations.tokens import Tokens
from queue_server.store.contract import Store
from queue_server.store.open import open_store
from queue_server.web.v1.tokens import audit_details, audit_target, new_token_view, token_view

T = TypeVar("T")
COMMAND_LINE = "command line"
"""Who has done it, in the audit log."""


class TokenDatabase:
    """See Place. StoreInUse if a server has the database, other StoreRefused if it can't be used."""

    def __init__(self, settings: Settings) -> None:
        self._clock = ServerClock()
        self._has_setting = bool(settings.admin_token)
        self._runner = asyncio.Runner()
        try:
            self._store = self._runner.run(self._open(settings))
            self._tokens = Tokens(self._store, self._clock, os.urandom, is_loopback=lambda: True)
            self._runner.run(self._tokens.load())
        except BaseException:
            self._runner.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._store.close())
        self._runner.close()

    @property
    def has_other_admin(self) -> bool:
        """See Place: the token of the settings."""
        return self._has_setting

    def create(self, request: Mapping[str, Any]) -> TokenItem:
        """See Place."""
        made = self._runner.run(self._tokens.create(read_as(msgspec.json.encode(request), TokenRequest)))
        self._record("createToken", made.token)
        return _item(new_token_view(made, self._clock.now()))

    def tokens(self, *, revoked: bool) -> Iterator[TokenItem]:
        """See Place."""
        return (self._shown(token) for token in self._tokens.list() if revoked or token.revoked_at is None)

    def get(self, token_id: int) -> TokenItem:
        """See Place."""
        return self._shown(_there(self._tokens.get(token_id), token_id))

    def revoke(self, token_id: int) -> None:
        """See Place. The last one may go: whoever can open the database can make another."""
        self._record("revokeToken", _there(self._runner.run(self._tokens.revoke(token_id)), token_id))

    def rotate(self, token_id: int, overlap: float) -> TokenItem:
        """See Place."""
        made = _there(self._runner.run(self._tokens.rotate(token_id, overlap)), token_id)
        self._record("rotateToken", made.token)
        return _item(new_token_view(made, self._clock.now()))

    async def _open(self, settings: Settings) -> Store:
        return await open_store(settings, self._clock)

    def _record(self, action: str, token: Token) -> None:
        """Write it into the audit log, as the server would."""
        act = Act(
            at=self._clock.now(),
            who=COMMAND_LINE,
            token_id=None,
            address="",
            action=action,
            target=audit_target(token),
            count=None,
            details=audit_details(token),
        )
        self._runner.run(self._store.add_act(act))

    def _shown(self, token: Token) -> TokenItem:
        return _item(token_view(token, self._clock.now()))


def _item(view: msgspec.Struct) -> TokenItem:
    return decode(msgspec.json.encode(view), TokenItem)


def _there(found: T | None, token_id: int) -> T:
    if found is None:
        raise CommandError(f"there is no token {token_id}", Exit.NOT_FOUND)
    return found
