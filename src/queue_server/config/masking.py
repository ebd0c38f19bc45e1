"""Passwords in database URLs, made unreadable before a person or a log sees them."""

import re

MASK = "***"

_USER_INFO = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^:@/?#\s]*:)(.*)(?=@)")
_QUERY = re.compile(r"([?&](?:[a-z_]*password|passwd|pwd)=)[^&#'\"]*", re.IGNORECASE)


def mask_passwords(text: str) -> str:
    """The text with the password of a URL in it, as user info or in the query, replaced by ***.

    An unescaped `@` in a password does no harm: all up to the last one is masked.
    """
    return _QUERY.sub(rf"\g<1>{MASK}", _USER_INFO.sub(rf"\g<1>{MASK}", text))
