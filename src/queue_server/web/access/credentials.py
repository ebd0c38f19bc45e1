"""The token in a request: as a bearer, or in the URL's user part, which clients send as HTTP Basic.

Authorization: Bearer qs_…
http://qs_…@queue.example.com/jobs/add            the token as user, with any password or none
http://anything:qs_…@queue.example.com/jobs/add   the token as password
"""

import base64
import binascii

TOKEN_LIMIT = 512
"""Bytes; longer ones are no tokens, and not worth a hash."""


def tokens_in(authorization: bytes) -> tuple[bytes, ...]:
    """The texts that may be the token, likeliest first; none where the header is of another kind or damaged."""
    scheme, _, value = authorization.partition(b" ")
    value = value.strip()
    if scheme.lower() == b"bearer":
        return _worth_a_look(value)
    if scheme.lower() != b"basic":
        return ()
    try:
        user, _, password = base64.b64decode(value, validate=True).partition(b":")
    except binascii.Error:
        return ()
    return _worth_a_look(user, password)


def _worth_a_look(*texts: bytes) -> tuple[bytes, ...]:
    return tuple(text for text in texts if 0 < len(text) <= TOKEN_LIMIT)
