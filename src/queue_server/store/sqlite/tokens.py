"""API tokens, inside a transaction of the writing connection."""

from collections.abc import Mapping

from msgspec import json

from queue_server.domain.tokens import NewToken
from queue_server.store.rows.tokens import row_of_token
from queue_server.store.sqlite.session import Session


def insert_token(session: Session, token: NewToken) -> int | None:
    """See Store.add_token."""
    found = session.rows("insert_token", row_of_token(token))
    return found[0][0] if found else None


def note_used(session: Session, times: Mapping[int, int]) -> None:
    """See Store.note_used."""
    session.run("note_tokens_used", json.encode(list(times.items())).decode())
