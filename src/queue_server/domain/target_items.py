"""The items of http_allow and http_deny: what each names, and whether a target is meant by it."""

from ipaddress import ip_network
from typing import Literal

import msgspec

from queue_server.domain.addresses import Address, Kind, Network, block_of, contains, is_within, kind_of, plain
from queue_server.domain.hosts import address_in, canonical_host

Mode = Literal["internal", "public", "allowlist"]
FORMS = "a network, an address, a host, a .suffix or a :port, each but the last with :port if wanted"


class TargetItem(msgspec.Struct, frozen=True):
    """What one item names: a network, a name, a `suffix` (the domain and all below it), or none: every host."""

    network: Network | None = None
    name: str | None = None
    suffix: str | None = None
    port: int | None = None

    def names(self, host: str, port: int) -> bool:
        """Whether a canonical host is meant by its name."""
        if self.port not in (None, port) or self.network is not None:
            return False
        if self.name is not None:
            return plain_name(host) == self.name
        return self.suffix is None or f".{plain_name(host)}".endswith(f".{self.suffix}")

    def holds(self, address: Address, port: int) -> bool:
        """Whether an address is meant."""
        return self.port in (None, port) and self.network is not None and contains(self.network, address)


class TargetLimits(msgspec.Struct, frozen=True, cache_hash=True, kw_only=True):
    """Where jobs may go as the settings or a token say; without a mode, anywhere but to what is denied."""

    mode: Mode | None = None
    allow: tuple[TargetItem, ...] = ()
    deny: tuple[TargetItem, ...] = ()
    whose: str = "setting {}"


ANYWHERE = TargetLimits()
"""Those of a token that has none of its own: the server's count."""


def read_item(text: str) -> TargetItem:
    """The item that a text stands for; ValueError with a sentence if it stands for none."""
    host, port = _split(text)
    if not host:
        return TargetItem(port=port)
    if "/" in host or (":" in host and "%" not in host):
        return TargetItem(network=_network(host), port=port)
    if host.startswith((".", "*.")):
        return TargetItem(suffix=_name(host.partition(".")[2]), port=port)
    canonical = canonical_host(host)
    address = address_in(canonical)
    if address is None:
        return TargetItem(name=plain_name(canonical), port=port)
    if canonical != host:
        raise ValueError(f"write it as {canonical}")
    return TargetItem(network=ip_network(address), port=port)


def plain_name(host: str) -> str:
    """A name for comparison: names know no case, and a last dot only says that nothing is to be added."""
    return host.lower().removesuffix(".")


def opens(item: TargetItem, host: str, address: Address, *, is_on_loopback: bool) -> bool:
    """Whether an allowing item that means the host or the address makes this address allowed.

    What is public or private is opened by any item. Loopback is opened by any where the server itself is bound to
    loopback, else by the name localhost or its own networks. Link-local and reserved addresses are opened only by an
    address or a network of their own range, so that neither a name nor 0.0.0.0/0 leads there. A metadata service is
    opened only by its very address. Nothing opens 0.0.0.0, ::, multicast and broadcast.
    """
    match kind_of(address):
        case Kind.PUBLIC | Kind.PRIVATE:
            return True
        case Kind.LOOPBACK:
            return is_on_loopback or item.name == plain_name(host) == "localhost" or _is_of_its_range(item, address)
        case Kind.LINK_LOCAL | Kind.RESERVED:
            return _is_of_its_range(item, address)
        case Kind.METADATA:
            return item.network == ip_network(address)
        case Kind.NOWHERE:  # pragma: no branch (the last one)
            return False


def is_open(mode: Mode | None, address: Address, *, is_on_loopback: bool) -> bool:
    """Whether a mode by itself allows an address."""
    match mode:
        case None:
            return True
        case "allowlist":
            return False
        case "public":
            return kind_of(address) is Kind.PUBLIC
        case "internal":  # pragma: no branch (the last one)
            kind = kind_of(address)
            return kind in (Kind.PUBLIC, Kind.PRIVATE) or (kind is Kind.LOOPBACK and is_on_loopback)


def _is_of_its_range(item: TargetItem, address: Address) -> bool:
    network = item.network
    return network is not None and contains(network, address) and is_within(network, block_of(address))


def _split(text: str) -> tuple[str, int | None]:
    """Host and port of an item; an IPv6 network stands in brackets where it has a port."""
    if text.startswith("["):
        host, end, rest = text[1:].partition("]")
        if not end or ":" not in host or (rest and not rest.startswith(":")):
            raise ValueError(f"is not {FORMS}")
        return host, _port(rest[1:]) if rest else None
    host, colon, port = text.partition(":")
    if ":" in port:  # more than one: IPv6
        return text, None
    if not colon and not host:
        raise ValueError(f"is not {FORMS}")
    return host, _port(port) if colon else None


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535:
        return int(text)
    raise ValueError(f"has the port {text!r}, which is not a number from 1 to 65535")


def _network(text: str) -> Network:
    if "%" in text:
        raise ValueError("has a zone, which no target may have")
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(_network_words(text, error)) from None
    return plain(network)


def _network_words(text: str, error: ValueError) -> str:
    if "host bits" in str(error):
        return f"is not the start of its network; write it as {ip_network(text, strict=False)}"
    return f"is not {FORMS}"


def _name(text: str) -> str:
    name = canonical_host(text)
    if address_in(name) is not None:
        raise ValueError("is not the end of a name")
    return plain_name(name)
