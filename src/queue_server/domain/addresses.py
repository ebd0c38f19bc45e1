"""What an address is: the kinds of networks, and the addresses that others carry inside.

The tables are our own, because what libraries call private changes between their versions. Sources, read on 2026-11-24:

- https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry (RFC 6890)
- https://www.iana.org/assignments/multicast-addresses and ipv6-address-space (unassigned is treated as reserved)
- the cloud providers' manuals for their metadata services
"""

from collections.abc import Callable
from enum import Enum, auto
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

REMEMBERED = 4096
"""Addresses whose kind is remembered."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Kind(Enum):
    """What kind of place an address is, as far as it matters to who may go there."""

    PUBLIC = auto()
    PRIVATE = auto()
    LOOPBACK = auto()
    LINK_LOCAL = auto()
    RESERVED = auto()
    METADATA = auto()
    NOWHERE = auto()


METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, Hetzner, OpenStack
        "169.254.170.2",  # AWS: credentials of ECS tasks
        "169.254.170.23",  # AWS: credentials of EKS pods
        "169.254.169.253",  # AWS: name server
        "169.254.169.123",  # AWS: time server
        "169.254.42.42",  # Scaleway
        "169.254.0.23",  # Tencent
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure: wire server
        "192.0.0.192",  # Oracle Cloud, classic
        "fd00:ec2::254",  # AWS
        "fd00:ec2::253",  # AWS: name server
        "fd00:ec2::123",  # AWS: time server
        "fd00:ec2::23",  # AWS: credentials of EKS pods
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
        "fd00:c1::a9fe:a9fe",  # Oracle
        "fe80::a9fe:a9fe",  # OpenStack
    )
)
"""Services that hand the machine's credentials to whoever asks from it, and their neighbours."""

METADATA_NAMES = frozenset(
    {
        "instance-data.ec2.internal",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.platformequinix.com",
        "metadata.packet.net",
        "metadata.tencentyun.com",
    }
)

_TABLE: tuple[tuple[str, Kind], ...] = (  # the first that holds an address counts
    ("0.0.0.0/8", Kind.NOWHERE),  # this network, RFC 791; Linux connects 0.0.0.0 to itself
    ("10.0.0.0/8", Kind.PRIVATE),  # RFC 1918
    ("100.64.0.0/10", Kind.PRIVATE),  # shared by providers' customers, RFC 6598
    ("127.0.0.0/8", Kind.LOOPBACK),  # RFC 1122
    ("169.254.0.0/16", Kind.LINK_LOCAL),  # RFC 3927
    ("172.16.0.0/12", Kind.PRIVATE),  # RFC 1918
    ("192.0.0.0/24", Kind.RESERVED),  # IETF protocol assignments, RFC 6890
    ("192.0.2.0/24", Kind.RESERVED),  # documentation, RFC 5737
    ("192.88.99.0/24", Kind.RESERVED),  # 6to4 relays, deprecated, RFC 7526
    ("192.168.0.0/16", Kind.PRIVATE),  # RFC 1918
    ("198.18.0.0/15", Kind.RESERVED),  # benchmarks, RFC 2544
    ("198.51.100.0/24", Kind.RESERVED),  # documentation, RFC 5737
    ("203.0.113.0/24", Kind.RESERVED),  # documentation, RFC 5737
    ("224.0.0.0/4", Kind.NOWHERE),  # multicast, RFC 5771
    ("255.255.255.255/32", Kind.NOWHERE),  # broadcast, RFC 919
    ("240.0.0.0/4", Kind.RESERVED),  # RFC 1112
    ("0.0.0.0/0", Kind.PUBLIC),
    ("::/128", Kind.NOWHERE),  # unspecified, RFC 4291
    ("::1/128", Kind.LOOPBACK),  # RFC 4291
    ("64:ff9b:1::/48", Kind.PRIVATE),  # translation within a site, RFC 8215
    ("fc00::/7", Kind.PRIVATE),  # unique local, RFC 4193
    ("fe80::/10", Kind.LINK_LOCAL),  # RFC 4291
    ("ff00::/8", Kind.NOWHERE),  # multicast, RFC 4291
    ("2001::/23", Kind.RESERVED),  # IETF protocol assignments, benchmarks, ORCHID, RFC 2928
    ("2001:db8::/32", Kind.RESERVED),  # documentation, RFC 3849
    ("3fff::/20", Kind.RESERVED),  # documentation, RFC 9637
    ("2000::/3", Kind.PUBLIC),  # global unicast
    ("::/0", Kind.RESERVED),  # site-local (RFC 3879), discard (RFC 6666), SRv6 (RFC 9602), unassigned
)
_KINDS = tuple((ip_network(text), kind) for text, kind in _TABLE)

_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 section 2.5.5.2
_ISATAP_MARKS = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214 section 6.1
_PLAIN_V6 = frozenset({IPv6Address("::"), IPv6Address("::1")})


@lru_cache(REMEMBERED)
def kind_of(address: Address) -> Kind:
    """The kind of this address as it stands; see `judged`."""
    return Kind.METADATA if address in METADATA else _entry(address)[1]


def block_of(address: Address) -> Network:
    """The network of the table that the address belongs to."""
    return _entry(address)[0]


@lru_cache(REMEMBERED)
def judged(address: Address) -> tuple[Address, ...]:
    """The addresses by which this one is judged: all must be allowed.

    One that only carries an IPv4 address through IPv6 is judged by what it carries; where the IPv6 address is a place
    of its own as well (ISATAP, translation within a site), by both.
    """
    if isinstance(address, IPv4Address) or address in _PLAIN_V6:
        return (address,)
    for network, carried in _CARRIERS:
        if address in network:
            return carried(address)
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP_MARKS:
        return (address, *_low_32(address))
    return (address,)


def plain(network: Network) -> Network:
    """A network of IPv4-mapped addresses as the IPv4 network that it is; any other as it is."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
    return network


def contains(network: Network, address: Address) -> bool:
    """Whether the address is in the network; one of another version is not."""
    return address in network


def is_within(network: Network, block: Network) -> bool:
    """Whether a network is part of a block; one of another version is not."""
    if isinstance(network, IPv4Network):
        return isinstance(block, IPv4Network) and network.subnet_of(block)
    return isinstance(block, IPv6Network) and network.subnet_of(block)


def _entry(address: Address) -> tuple[Network, Kind]:
    return next(entry for entry in _KINDS if address in entry[0])


def _v4(number: int) -> IPv4Address:
    return IPv4Address(number & 0xFFFF_FFFF)


def _low_32(address: IPv6Address) -> tuple[Address, ...]:
    return (_v4(int(address)),)


def _six_to_four(address: IPv6Address) -> tuple[Address, ...]:
    return (_v4(int(address) >> 80),)


def _teredo(address: IPv6Address) -> tuple[Address, ...]:
    """The server, and the client's address with its bits turned (RFC 4380 section 4)."""
    return (_v4(int(address) >> 64), _v4(~int(address)))


def _translated_in_site(address: IPv6Address) -> tuple[Address, ...]:
    """Itself and where it may lead: which of RFC 6052's layouts its site uses can't be seen from it.

    The layouts skip bits 64 to 71. What would be in 0.0.0.0/8 is the padding of another layout.
    """
    number = int(address)
    layouts = (
        number,  # /96
        number >> 24,  # /64
        (number >> 64 & 0xFF) << 24 | (number >> 32 & 0xFF_FFFF),  # /56
        (number >> 64 & 0xFFFF) << 16 | (number >> 40 & 0xFFFF),  # /48
    )
    return (address, *(found for found in map(_v4, layouts) if int(found) >> 24))


_CARRIERS: tuple[tuple[IPv6Network, Callable[[IPv6Address], tuple[Address, ...]]], ...] = (
    (IPv6Network("::/96"), _low_32),  # IPv4-compatible, RFC 4291 section 2.5.5.1
    (_MAPPED, _low_32),
    (IPv6Network("::ffff:0:0:0/96"), _low_32),  # IPv4-translated, RFC 2765
    (IPv6Network("64:ff9b::/96"), _low_32),  # NAT64, RFC 6052
    (IPv6Network("64:ff9b:1::/48"), _translated_in_site),  # RFC 8215
    (IPv6Network("2002::/16"), _six_to_four),  # RFC 3056
    (IPv6Network("2001::/32"), _teredo),
)
"""Networks whose addresses carry IPv4 addresses."""
