"""Signatures of requests by the Standard Webhooks specification (https://www.standardwebhooks.com, 1.0)."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence

import msgspec

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES, NEW_BYTES = 24, 64, 32
HEADERS = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature"})
FOR_EVER = 2**63 - 1


class SigningKey(msgspec.Struct, frozen=True):
    """A key that signs until a moment (microseconds)."""

    secret: bytes
    until: int = FOR_EVER

    def __repr__(self) -> str:
        return "SigningKey(***)"


def signature_lines(keys: Sequence[SigningKey], message_id: str, now: int, body: bytes) -> str:
    """The header lines that sign a request at `now` (microseconds), with each key that is in force; none without."""
    seconds = now // 1_000_000
    signed = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    signatures = " ".join(
        [
            "v1," + base64.b64encode(hmac.digest(key.secret, signed, "sha256")).decode()
            for key in keys
            if key.until > now
        ]
    )
    if not signatures:
        return ""
    return f"webhook-id: {message_id}\r\nwebhook-timestamp: {seconds}\r\nwebhook-signature: {signatures}\r\n"


def new_signing_secret() -> str:
    """A secret as its users write it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(NEW_BYTES)).decode()


def signing_bytes(secret: str) -> bytes | None:
    """The bytes of a secret; None if it is none."""
    try:
        found = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if secret.startswith(PREFIX) and LEAST_BYTES <= len(found) <= MOST_BYTES else None
