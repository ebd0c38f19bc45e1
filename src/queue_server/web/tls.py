"""TLS for the listener: a certificate that can be read again while connections go on."""

import ssl
from pathlib import Path

from queue_server.config.settings import Settings
from queue_server.domain.errors import CannotStart, InvalidSetting


class Tls:
    """The server's TLS context. Connections that are made after `read` see what it has read."""

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate = certificate
        self._key = key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.read()

    def read(self) -> None:
        """Read the certificate and its key; CannotStart, and all stays as it was, if they can't be used."""
        for setting, path in (("tls_cert", self._certificate), ("tls_key", self._key)):
            try:
                Path(path).read_bytes()
            except OSError as error:
                raise CannotStart(f"can't read {path} (setting {setting}): {error.strerror}") from None
        _check(self._certificate, self._key)
        self.context.load_cert_chain(self._certificate, self._key, password=_no_password)


def tls_of(settings: Settings) -> Tls | None:
    """TLS as the settings say, None where they say nothing; InvalidSetting for half of it."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        given, missing = ("tls_cert", "tls_key") if settings.tls_cert else ("tls_key", "tls_cert")
        raise InvalidSetting(f"setting {given} needs {missing} too: TLS takes a certificate and its key")
    return Tls(settings.tls_cert, settings.tls_key) if settings.tls_cert else None


def _check(certificate: str, key: str) -> None:
    """Try them on a context that nobody uses: a failed load would leave the other one with half of a new pair."""
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        trial.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        text = f"the certificate {certificate} and the key {key} can't be used together (settings tls_cert, tls_key)"
        raise CannotStart(f"{text}: {reason}") from None


def _no_password() -> bytes:
    """Else OpenSSL would ask for one on the terminal."""
    raise ValueError("the key is protected by a password")
