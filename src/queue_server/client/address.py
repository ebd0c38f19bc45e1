"""Where the server is, from arguments or from the environment."""

import os
from urllib.parse import urlsplit

import msgspec

from queue_server.domain.errors import InvalidSetting

URL_VARIABLE, TOKEN_VARIABLE = "QUEUE_SERVER_URL", "QUEUE_SERVER_TOKEN"
DEFAULT_URL = "http://127.0.0.1:1337"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Address(msgspec.Struct, frozen=True):
    """The server's URL, without a slash at the end, and the token that it asks for."""

    url: str
    token: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, which no proxy of the environment can know."""
        return urlsplit(self.url).hostname in LOOPBACK


def address(url: str | None = None, token: str | None = None) -> Address:
    """The address given, else that of the variables QUEUE_SERVER_URL and QUEUE_SERVER_TOKEN, else this machine."""
    url = url or os.environ.get(URL_VARIABLE, "").strip() or DEFAULT_URL
    if not url.startswith(("http://", "https://")):
        raise InvalidSetting(f"the address of the server must start with http:// or https://, and {url!r} does not")
    if not _names_a_host(url):
        raise InvalidSetting(f"{url!r} is no address of a server, such as {DEFAULT_URL}")
    token = (token or os.environ.get(TOKEN_VARIABLE, "")).strip()
    if not is_header_text(token) and token:
        raise InvalidSetting(f"{TOKEN_VARIABLE} holds characters that no token has")
    return Address(url.rstrip("/"), token or None)


def is_header_text(text: str) -> bool:
    """Whether a header can carry this: some visible ASCII, with spaces only inside."""
    return text.isascii() and text.isprintable() and text == text.strip() != ""


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        return bool(host) and " " not in url and url.isprintable() and parts.port != 0
    except ValueError:  # of a port or an IPv6 address, and of a name that can be none
        return False
