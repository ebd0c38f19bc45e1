"""From a URL to where to connect and what to ask for there."""

import base64
import re
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

import msgspec

from queue_server.domain.hosts import PORTS, Place, canonical_host, split

_PLAIN = re.compile(r"\A(https?)://([A-Za-z0-9._-]+)(?::([1-9]\d{0,4}))?(/[\x21\x24-\x7e]*|)(?:#.*)?\Z")
_UNSAFE_IN_TARGET = "!#$%&'()*+,/:;=?@[]~\"<>\\^`{|}"


class Origin(msgspec.Struct, frozen=True):
    """Where to connect. `host` is canonical; `place` is host and port as a person writes them, and the Host header."""

    is_tls: bool
    host: str
    port: int
    place: str

    @property
    def judged_as(self) -> Place:
        """What the rules for targets look at."""
        return Place(self.host, self.port)


class Resource(msgspec.Struct, frozen=True):
    """What a URL names: an origin, the request's target there, and credentials for an Authorization header."""

    origin: Origin
    target: str
    credentials: str | None = None

    def __repr__(self) -> str:
        return f"Resource({self.origin.place})"


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
    host = canonical_host(host)
    name = f"[{host}]" if ":" in host else host
    place = name if number == PORTS[scheme] else f"{name}:{number}"
    return Origin(scheme == "https", host, number, place)


def _unusual(url: str) -> Resource:
    parts = split(url)
    scheme = parts.scheme.lower()
    if scheme not in PORTS or not parts.hostname:
        raise ValueError("the url is not one of http or https with a host")
    origin = _origin(scheme, parts.hostname, None if parts.port is None else str(parts.port))
    target = quote(parts.path, safe=_UNSAFE_IN_TARGET) or "/"
    if parts.query:
        target += "?" + quote(parts.query, safe=_UNSAFE_IN_TARGET)
    return Resource(origin, target, _credentials(parts.netloc.rpartition("@")[0]))


def _credentials(user_info: str) -> str | None:
    if not user_info:
        return None
    name, _, password = user_info.partition(":")
    return base64.b64encode(unquote_to_bytes(f"{name}:{password}")).decode()
