"""From a URL to where to connect and what to ask for there."""

import base64
import re
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes, urlsplit

import msgspec

_PLAIN = re.compile(r"\A(https?)://([A-Za-z0-9._-]+)(?::([1-9]\d{0,4}))?(/[\x21\x24-\x7e]*|)(?:#.*)?\Z")
_VISIBLE = re.compile(r"\A[\x21-\x7e]+\Z")
_UNSAFE_IN_TARGET = "!#$%&'()*+,/:;=?@[]~\"<>\\^`{|}"
PORTS = {"http": 80, "https": 443}


class Origin(msgspec.Struct, frozen=True):
    """Where to connect. `place` is host and port as a person writes them, and the Host header."""

    is_tls: bool
    host: str
    port: int
    place: str


class Resource(msgspec.Struct, frozen=True):
    """What a URL names: an origin, the request's target there, and credentials for an Authorization header."""

    origin: Origin
    target: str
    credentials: str | None = None


def resource_of(url: str) -> Resource:
    """The resource that `url` names; ValueError with a sentence if it names none."""
    match = _PLAIN.match(url)
    if match is None:
        return _unusual(url)
    scheme, host, port, target = match.groups()
    return Resource(_origin(scheme, host, port), target or "/")


@lru_cache(maxsize=1024)
def _origin(scheme: str, host: str, port: str | None) -> Origin:
    number = int(port) if port else PORTS[scheme]
    if number > 65535:
        raise ValueError(f"there is no port {number}")
    place = host if number == PORTS[scheme] else f"{host}:{number}"
    return Origin(scheme == "https", host, number, place)


def _unusual(url: str) -> Resource:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in PORTS or not parts.hostname:
        raise ValueError("the url is not one of http or https with a host")
    host = parts.hostname
    name = f"[{host}]" if ":" in host else _ascii(host)
    if not _VISIBLE.match(name):  # it goes into the Host header
        raise ValueError(f"{host!r} is no name of a host")
    origin = _origin(scheme, name, None if parts.port is None else str(parts.port))
    if ":" in host:
        origin = msgspec.structs.replace(origin, host=host)
    target = quote(parts.path, safe=_UNSAFE_IN_TARGET) or "/"
    if parts.query:
        target += "?" + quote(parts.query, safe=_UNSAFE_IN_TARGET)
    return Resource(origin, target, _credentials(parts.netloc.rpartition("@")[0]))


def _ascii(host: str) -> str:
    """The host's name as it is asked for (RFC 3490)."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        raise ValueError(f"{host} is no name of a host") from None


def _credentials(user_info: str) -> str | None:
    if not user_info:
        return None
    name, _, password = user_info.partition(":")
    return base64.b64encode(unquote_to_bytes(f"{name}:{password}")).decode()
