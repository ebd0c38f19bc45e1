"""Checking the signature of a request that a Queue Server has sent (https://www.standardwebhooks.com).

from queue_server.client import InvalidSignature, verify

try:
    verify(request.headers, request.body, os.environ["QUEUE_SIGNING_SECRET"])
except InvalidSignature:
    return 401
"""

import base64
import binascii
import hmac
import time
from collections.abc import Iterable, Mapping, Sequence

from queue_server.client.errors import InvalidSignature

PREFIX = "whsec_"
VERSION = "v1,"


def verify(
    headers: Mapping[str, str],
    body: bytes | str,
    secret: str | Iterable[str],
    tolerance: float = 300.0,
    now: float | None = None,
) -> str:
    """The message's id, the same whenever a job is tried again; InvalidSignature if the request is not genuine.

    `body` is the body as it came, byte for byte. One of several secrets and one of several signatures is enough. A
    request that was signed more than `tolerance` seconds ago, or so far in the future, may be an old one sent again.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (_header(given, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    _check_age(timestamp, tolerance, _now() if now is None else now)
    content = body.encode() if isinstance(body, str) else bytes(body)
    signed = b"%b.%b.%b" % (message_id.encode(), timestamp.encode(), content)
    sent = [text.removeprefix(VERSION).encode() for text in signatures.split() if text.startswith(VERSION)]
    if not any([_is_signed(signed, key, sent) for key in _keys(secret)]):  # noqa: C419 (all take the same time)
        raise InvalidSignature("no signature of this request was made with the secret")
    return message_id


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise InvalidSignature(f"the request has no header {name}: it is not signed")
    return value


def _check_age(timestamp: str, tolerance: float, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise InvalidSignature("the header webhook-timestamp is no time in seconds")
    age = now - int(timestamp)
    if abs(age) > tolerance:
        when = "ago" if age > 0 else "in the future"
        raise InvalidSignature(f"the request was signed {abs(age):.0f} s {when}; {tolerance:g} s are allowed")


def _keys(secret: str | Iterable[str]) -> Sequence[bytes]:
    secrets = [secret] if isinstance(secret, str) else [*secret]
    try:
        keys = [base64.b64decode(text.strip().removeprefix(PREFIX), validate=True) for text in secrets]
    except (binascii.Error, ValueError):
        raise ValueError("a signing secret is whsec_ and base64") from None
    if not keys or not all(keys):
        raise ValueError("there is no secret to check signatures with")
    return keys


def _is_signed(signed: bytes, key: bytes, signatures: Sequence[bytes]) -> bool:
    expected = base64.b64encode(hmac.digest(key, signed, "sha256"))
    return any([hmac.compare_digest(expected, signature) for signature in signatures])  # noqa: C419 (likewise)


def _now() -> float:
    return time.time()  # noqa: TID251 (the client has no clock of the server's)
