"""API tokens and secrets, inside one transaction. Each change of them is to be seen in a look at `kept`."""

from collections.abc import Mapping

from queue_server.domain.secret import Kind
from queue_server.domain.tokens import NewToken
from queue_server.store.keeping import NewSecret
from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.faults import DUPLICATE, Contended, number_of
from queue_server.store.mysql.transaction import Transaction
from queue_server.store.rows.tokens import row_of_token


async def insert_token(transaction: Transaction, token: NewToken) -> int | None:
    """See TokenStore.add_token."""
    if await transaction.rows("is_name_taken", token.name):
        return None
    await transaction.run("touch_kept")
    try:
        return await transaction.insert("insert_token", *row_of_token(token), token.name)
    except Exception as error:
        if number_of(error) == DUPLICATE and "token_name" in str(error):
            raise Contended from None
        raise


async def rotate_token(transaction: Transaction, token_id: int, digest: bytes, old_until: int) -> bool:
    """See TokenStore.rotate_token."""
    await transaction.run("touch_kept")
    return await transaction.run("rotate_token", digest, old_until, token_id) == 1


async def revoke_token(transaction: Transaction, token_id: int, now: int) -> bool:
    """See TokenStore.revoke_token."""
    await transaction.run("touch_kept")
    return await transaction.run("revoke_token", now, token_id) == 1


async def note_used(transaction: Transaction, times: Mapping[int, int]) -> None:
    """See TokenStore.note_used."""
    if times:
        await transaction.run("note_tokens_used", listed(sorted(times.items())))


async def put_secret(transaction: Transaction, secret: NewSecret) -> int:
    """See SecretStore.put_secret."""
    await transaction.run("touch_kept")
    await transaction.run("end_secrets", secret.old_until, secret.kind, secret.name, secret.old_until)
    await transaction.run("delete_ended_secrets", secret.kind, secret.name, secret.created_at)
    return await transaction.insert("insert_secret", secret.name, secret.kind, secret.sealed, secret.created_at)


async def delete_secret(transaction: Transaction, kind: Kind, name: str) -> int:
    """See SecretStore.delete_secret."""
    await transaction.run("touch_kept")
    return await transaction.run("delete_secrets", kind, name)


async def reseal_secrets(transaction: Transaction, sealed: Mapping[int, str]) -> None:
    """See SecretStore.reseal_secrets."""
    if sealed:
        await transaction.run("touch_kept")
        await transaction.run("reseal_secrets", listed(sorted(sealed.items())))
