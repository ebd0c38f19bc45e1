"""Whom the clients trust over TLS beside the machine's authorities: those in the file that SSL_CERT_FILE names."""

import os
from pathlib import Path

from queue_server.domain.errors import InvalidSetting

FILE_VARIABLE = "SSL_CERT_FILE"
"""The name that OpenSSL and the tools built on it know."""


def trusted(url: str) -> bytes | None:
    """The certificates in PEM; None if none are named or the URL needs none. InvalidSetting if they can't be read."""
    path = os.environ.get(FILE_VARIABLE)
    if not path or not url.startswith("https://"):
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidSetting(f"can't read {path} (variable {FILE_VARIABLE}): {error.strerror}") from None


def unusable() -> InvalidSetting:
    """The error for certificates that can be read and are none."""
    return InvalidSetting(
        f"{os.environ.get(FILE_VARIABLE)} (variable {FILE_VARIABLE}) has a certificate that can't be read"
    )
