"""Kept secrets of the SQLite store, inside a transaction of the writing connection."""

from collections.abc import Mapping

from msgspec import json

from queue_server.domain.secret import KeptSecret, Kind
from queue_server.store.keeping import NewSecret
from queue_server.store.rows import Row
from queue_server.store.sqlite.session import Session


def put_secret(session: Session, secret: NewSecret) -> int:
    """See SecretStore.put_secret."""
    session.run("end_secrets", secret.kind, secret.name, secret.old_until)
    session.run("delete_ended_secrets", secret.kind, secret.name, secret.created_at)
    return session.value("insert_secret", (secret.name, secret.kind, secret.sealed, secret.created_at))


def delete_secret(session: Session, kind: Kind, name: str) -> int:
    """See SecretStore.delete_secret."""
    return session.run("delete_secrets", kind, name)


def reseal_secrets(session: Session, sealed: Mapping[int, str]) -> None:
    """See SecretStore.reseal_secrets."""
    session.run("reseal_secrets", json.encode(list(sealed.items())).decode())


def secret_of_row(row: Row) -> KeptSecret:
    """A row of the query `secrets`."""
    return KeptSecret(*row)
