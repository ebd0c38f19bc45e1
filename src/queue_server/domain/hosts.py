"""Which host a URL names, in one way of writing it.

`http://2130706433/`, `http://0x7f.1/`, `http://127.0.0.1./` and the same in full-width digits are all 127.0.0.1: the C
library, browsers and other clients read them so. Here they become that address before anything looks at them.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from queue_server.domain.addresses import Address

PORTS = {"http": 80, "https": 443}

_NAME = re.compile(r"\A[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?\Z")
_NUMBER = re.compile(r"\A(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")
_ODD = re.compile(r"[\x00-\x20\x7f\\]|\][^:@]")  # a bracket ends the host


class Place(NamedTuple):
    """A host as `canonical_host` writes it, and a port."""

    host: str
    port: int


def place_of(url: str) -> Place:
    """Where an http or https URL leads; ValueError with a sentence if it leads nowhere."""
    parts = split(url)
    scheme = parts.scheme.lower()
    if scheme not in PORTS or not parts.hostname:
        raise ValueError("the url is not one of http or https with a host")
    return Place(canonical_host(parts.hostname), PORTS[scheme] if parts.port is None else parts.port)


def split(url: str) -> SplitResult:
    """A URL's parts, without what urlsplit forgives: control characters in the host, and backslashes, a / to others."""
    parts = urlsplit(url)
    authority = re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if _ODD.search(authority):
        raise ValueError("the host of the url has blanks, control characters, backslashes or misplaced brackets")
    return parts


def canonical_host(host: str) -> str:
    """The host as it is asked for: a name in ASCII (RFC 3490), or an address in its usual form, without brackets.

    ValueError with a sentence for what is neither, and for IPv6 zones, which mean something on one machine only.
    """
    if ":" in host:
        return str(_ipv6(host))
    name = host if host.isascii() else _ascii(host)
    if not _NAME.match(name):
        raise ValueError(f"{host!r} is no name of a host")
    if not _ends_in_number(name):
        return name
    address = legacy_ipv4(name.removesuffix("."))
    if address is None:
        raise ValueError(f"{host!r} is neither an address nor a name: names do not end in a number")
    return str(address)


def address_in(host: str) -> Address | None:
    """The address that a canonical host is, None if it is a name."""
    if ":" not in host and not host[-1:].isdigit():
        return None
    try:
        return ip_address(host)
    except ValueError:
        return None


def legacy_ipv4(text: str) -> IPv4Address | None:
    """What inet_aton(3) reads: one to four numbers, decimal, octal (0…) or hexadecimal (0x…); the last is the rest."""
    parts = text.split(".")
    if len(parts) > 4 or not all(map(_NUMBER.match, parts)):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:  # an 8 or 9 in an octal one
        return None
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(first)) + last)


def _ipv6(host: str) -> IPv6Address:
    if "%" in host:
        raise ValueError(f"{host!r} has a zone, which no target may have")
    try:
        return IPv6Address(host)
    except ValueError:
        raise ValueError(f"{host!r} is no address") from None


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        raise ValueError(f"{host!r} is no name of a host") from None


def _ends_in_number(name: str) -> bool:
    """As the URL standard has it (https://url.spec.whatwg.org/#ends-in-a-number-checker)."""
    return bool(_NUMBER.match(name.removesuffix(".").rpartition(".")[2]))


def _number(text: str) -> int:
    if len(text) > 32:  # no address is as long
        raise ValueError(text)
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if text[0] == "0" else int(text)
