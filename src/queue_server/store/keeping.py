"""What a store keeps besides jobs: API tokens, secrets and the audit log. Parts of the contract in contract.py."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from queue_server.domain.audit import Act
from queue_server.domain.secret import KeptSecret, Kind
from queue_server.domain.tokens import NewToken, Token


class TokenStore(Protocol):
    """The part of a store that keeps API tokens. Of their texts it only ever sees digests."""

    async def add_token(self, token: NewToken) -> int | None:
        """Store a token and return its id, or None, and nothing is stored, if one that is not revoked has its name.

        The look at names and the insert are one transaction. Ids grow and are never used again.
        """
        ...

    async def tokens(self) -> Sequence[Token]:
        """Every token, also expired and revoked ones, oldest first, all as of one moment."""
        ...

    async def rotate_token(self, token_id: int, digest: bytes, old_until: int) -> bool:
        """Give a token another digest; the one it had works until `old_until`, one from before that no longer.

        One transaction. False, and nothing is changed, if there is no such token or it is revoked.
        """
        ...

    async def revoke_token(self, token_id: int, now: int) -> bool:
        """End a token, in one transaction; its name is free again. False if there is none or it was revoked before."""
        ...

    async def note_used(self, times: Mapping[int, int]) -> None:
        """Keep when tokens were last used, by their ids: all in one statement. A later time that is known stays.

        Ids that no token has are left out.
        """
        ...


class AuditStore(Protocol):
    """The part of a store that keeps the audit log."""

    async def add_act(self, act: Act) -> None:
        """Append an action; it is durable when this returns."""
        ...

    async def acts(self, before_id: int, limit: int) -> Sequence[Act]:
        """Actions with smaller ids, newest first."""
        ...

    async def purge_acts(self, before: int, limit: int) -> int:
        """Delete up to `limit` of the oldest actions from before a time; how many there were. One transaction."""
        ...


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed secret to keep. Those of its name that are there are in force until `old_until`."""

    name: str
    kind: Kind
    sealed: str
    created_at: int
    old_until: int


class SecretStore(Protocol):
    """The part of a store that keeps secrets, which are sealed before they come here."""

    async def secrets(self) -> Sequence[KeptSecret]:
        """Every kept secret, oldest first, all as of one moment."""
        ...

    async def put_secret(self, secret: NewSecret) -> int:
        """Keep a secret and return its id. Those of its name end: what is not in force at `created_at` is deleted."""
        ...

    async def delete_secret(self, kind: Kind, name: str) -> int:
        """Delete the secrets of a name; how many there were."""
        ...

    async def reseal_secrets(self, sealed: Mapping[int, str]) -> None:
        """Replace what is kept of these secrets, by their ids, all or none. Ids that none has are left out."""
        ...
