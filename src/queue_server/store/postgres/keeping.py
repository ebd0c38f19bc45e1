"""Tokens, secrets and the audit log: each function is one transaction."""

from collections.abc import Mapping, Sequence

from queue_server.domain.audit import Act
from queue_server.domain.secret import KeptSecret, Kind
from queue_server.domain.tokens import NewToken, Token
from queue_server.store.keeping import NewSecret
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.session import Session
from queue_server.store.rows.acts import act_of_row, row_of_act
from queue_server.store.rows.tokens import row_of_token, token_of_row


class Keeping:
    """What a store keeps beside jobs. See TokenStore, SecretStore and AuditStore."""

    def __init__(self, reading: Pool, writing: Pool) -> None:
        self._reading = reading
        self._writing = writing

    async def secrets(self) -> Sequence[KeptSecret]:
        """See SecretStore.secrets."""
        return [KeptSecret(*row) for row in await self._reading.rows("secrets")]

    async def put_secret(self, secret: NewSecret) -> int:
        """See SecretStore.put_secret."""
        return await self._writing.transact(lambda session: _put_secret(session, secret))

    async def delete_secret(self, kind: Kind, name: str) -> int:
        """See SecretStore.delete_secret."""
        return await self._writing.run("delete_secrets", kind, name)

    async def reseal_secrets(self, sealed: Mapping[int, str]) -> None:
        """See SecretStore.reseal_secrets."""
        await self._writing.run("reseal_secrets", list(sealed), list(sealed.values()))

    async def add_token(self, token: NewToken) -> int | None:
        """See TokenStore.add_token."""
        found = await self._writing.rows("insert_token", *row_of_token(token))
        return found[0][0] if found else None

    async def tokens(self) -> Sequence[Token]:
        """See TokenStore.tokens."""
        return [token_of_row(tuple(row)) for row in await self._reading.rows("tokens")]

    async def rotate_token(self, token_id: int, digest: bytes, old_until: int) -> bool:
        """See TokenStore.rotate_token."""
        return bool(await self._writing.rows("rotate_token", token_id, digest, old_until))

    async def revoke_token(self, token_id: int, now: int) -> bool:
        """See TokenStore.revoke_token."""
        return bool(await self._writing.rows("revoke_token", token_id, now))

    async def note_used(self, times: Mapping[int, int]) -> None:
        """See TokenStore.note_used."""
        await self._writing.run("note_tokens_used", list(times), list(times.values()))

    async def add_act(self, act: Act) -> None:
        """See AuditStore.add_act."""
        await self._writing.run("insert_act", *row_of_act(act))

    async def acts(self, before_id: int, limit: int) -> Sequence[Act]:
        """See AuditStore.acts."""
        return [act_of_row(tuple(row)) for row in await self._reading.rows("acts", before_id, limit)]

    async def purge_acts(self, before: int, limit: int) -> int:
        """See AuditStore.purge_acts."""
        return await self._writing.run("purge_acts", before, limit)


async def _put_secret(session: Session, secret: NewSecret) -> int:
    await session.run("end_secrets", secret.kind, secret.name, secret.old_until)
    await session.run("delete_ended_secrets", secret.kind, secret.name, secret.created_at)
    return await session.value("insert_secret", secret.name, secret.kind, secret.sealed, secret.created_at)
