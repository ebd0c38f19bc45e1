"""API tokens: lists are kept as JSON."""

from typing import Any

import msgspec

from queue_server.domain.access import Right
from queue_server.domain.tokens import NewToken, TargetRules, TargetsWord, Token
from queue_server.store.rows import Row

_Texts = tuple[str, ...] | None


class _Rules(msgspec.Struct):
    """A TargetRules by names, so that it can be read by people and get new members."""

    http_targets: TargetsWord | None = None
    http_allow: tuple[str, ...] = ()
    http_deny: tuple[str, ...] = ()


def token_of_row(row: Row) -> Token:
    """A row of the query `tokens`."""
    id_, name, digest, old_digest, old_until, scopes, contexts, queues, targets, *times = row
    created_at, expires_at, revoked_at, last_used_at = times
    return Token(
        id=id_,
        name=name,
        digest=digest,
        old_digest=old_digest,
        old_until=old_until,
        scopes=_rights(scopes),
        contexts=_decode(contexts),
        queues=_decode(queues),
        targets=_rules(targets),
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        last_used_at=last_used_at,
    )


def row_of_token(token: NewToken) -> Row:
    """A row for the query `insert_token`."""
    return (
        token.name,
        token.digest,
        _encode(token.scopes),
        None if token.contexts is None else _encode(token.contexts),
        None if token.queues is None else _encode(token.queues),
        None if token.targets is None else _encode(token.targets._asdict()),
        token.created_at,
        token.expires_at,
    )


def _rights(text: str) -> tuple[Right, ...]:
    """The rights in a list; those that a newer version has given are none here."""
    known = {str(right): right for right in Right}
    return tuple(known[word] for word in msgspec.json.decode(text, type=tuple[str, ...]) if word in known)


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _decode(text: str | None) -> _Texts:
    return None if text is None else msgspec.json.decode(text, type=tuple[str, ...])


def _rules(text: str | None) -> TargetRules | None:
    if text is None:
        return None
    read = msgspec.json.decode(text, type=_Rules)
    return TargetRules(read.http_targets, read.http_allow, read.http_deny)
