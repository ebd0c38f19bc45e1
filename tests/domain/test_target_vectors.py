"""Ways to write a target that have got through others' rules, and what each mode makes of them.

Each vector is a URL's host and the modes that allow it when the server is bound to another machine's reach (not to
loopback): i for internal, p for public, a for an allowlist that names 198.51.100.7, 8.8.8.8 and .shop.example.
"""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_server.domain.addresses import judged
from queue_server.domain.hosts import address_in, canonical_host, place_of
from queue_server.domain.target_items import Mode
from queue_server.domain.targets import Surroundings, Targets, read_limits

MODES: dict[str, Mode] = {"i": "internal", "p": "public", "a": "allowlist"}

PUBLIC = [
    ("1.1.1.1", "ip"),
    ("8.8.8.8", "ipa"),
    ("9.255.255.255", "ip"),
    ("11.0.0.0", "ip"),
    ("100.63.255.255", "ip"),
    ("100.128.0.0", "ip"),
    ("126.255.255.255", "ip"),
    ("128.0.0.0", "ip"),
    ("169.253.255.255", "ip"),
    ("169.255.0.0", "ip"),
    ("172.15.255.255", "ip"),
    ("172.32.0.0", "ip"),
    ("192.0.1.0", "ip"),
    ("192.167.255.255", "ip"),
    ("192.169.0.0", "ip"),
    ("198.17.255.255", "ip"),
    ("198.20.0.0", "ip"),
    ("223.255.255.255", "ip"),
    ("[2606:4700:4700::1111]", "ip"),
    ("[2001:4860:4860::8888]", "ip"),
    ("[2000::]", "ip"),
    ("[2003::1]", "ip"),
]
PRIVATE = [
    ("10.0.0.0", "i"),
    ("10.255.255.255", "i"),
    ("100.64.0.0", "i"),
    ("100.127.255.255", "i"),
    ("172.16.0.0", "i"),
    ("172.31.255.255", "i"),
    ("192.168.0.0", "i"),
    ("192.168.255.255", "i"),
    ("[fc00::1]", "i"),
    ("[fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]", "i"),
]
LOOPBACK = [
    ("127.0.0.1", ""),
    ("127.0.0.0", ""),
    ("127.255.255.255", ""),
    ("127.127.127.127", ""),
    ("[::1]", ""),
    ("[0:0:0:0:0:0:0:1]", ""),
    ("[0000:0000:0000:0000:0000:0000:0000:0001]", ""),
]
LINK_LOCAL_AND_METADATA = [
    ("169.254.0.0", ""),
    ("169.254.1.1", ""),
    ("169.254.255.255", ""),
    ("169.254.169.254", ""),
    ("169.254.170.2", ""),
    ("169.254.170.23", ""),
    ("100.100.100.200", ""),
    ("168.63.129.16", ""),
    ("192.0.0.192", ""),
    ("[fd00:ec2::254]", ""),
    ("[fd00:0ec2:0:0:0:0:0:254]", ""),
    ("[fd20:ce::254]", ""),
    ("[fd00:42::42]", ""),
    ("[fe80::1]", ""),
    ("[fe80::a9fe:a9fe]", ""),
    ("[febf:ffff::1]", ""),
    ("metadata.google.internal", ""),
    ("METADATA.GOOGLE.INTERNAL", ""),
    ("metadata.google.internal.", ""),
    ("metadata.goog", ""),
    ("metadata.tencentyun.com", ""),
    ("metadata\u3002google\u3002internal", ""),
]
NOWHERE_AND_RESERVED = [
    ("0.0.0.0", ""),
    ("0.255.255.255", ""),
    ("[::]", ""),
    ("[0:0::0]", ""),
    ("224.0.0.1", ""),
    ("239.255.255.255", ""),
    ("255.255.255.255", ""),
    ("[ff02::1]", ""),
    ("[ff0e::1]", ""),
    ("192.0.0.1", ""),
    ("192.0.2.1", ""),
    ("192.88.99.1", ""),
    ("198.18.0.1", ""),
    ("198.19.255.255", ""),
    ("198.51.100.1", ""),
    ("198.51.100.7", "a"),
    ("203.0.113.1", ""),
    ("240.0.0.1", ""),
    ("255.255.255.254", ""),
    ("[100::1]", ""),
    ("[2001:2::1]", ""),
    ("[2001:10::1]", ""),
    ("[2001:20::1]", ""),
    ("[2001:db8::1]", ""),
    ("[3fff::1]", ""),
    ("[5f00::1]", ""),
    ("[fec0::1]", ""),
    ("[4000::1]", ""),
    ("[1::1]", ""),
]
CARRIED = [
    ("[::ffff:127.0.0.1]", ""),
    ("[::ffff:7f00:1]", ""),
    ("[0:0:0:0:0:ffff:7f00:0001]", ""),
    ("[::FFFF:169.254.169.254]", ""),
    ("[::ffff:a9fe:a9fe]", ""),
    ("[::ffff:10.0.0.1]", "i"),
    ("[::ffff:0.0.0.0]", ""),
    ("[::ffff:8.8.8.8]", "ipa"),
    ("[::ffff:198.51.100.7]", "a"),
    ("[::127.0.0.1]", ""),
    ("[::a9fe:a9fe]", ""),
    ("[::10.1.2.3]", "i"),
    ("[::8.8.8.8]", "ipa"),
    ("[::2]", ""),
    ("[::ffff:0:127.0.0.1]", ""),
    ("[::ffff:0:169.254.169.254]", ""),
    ("[::ffff:0:8.8.8.8]", "ipa"),
    ("[2002:7f00:1::]", ""),
    ("[2002:7f00:1::1]", ""),
    ("[2002:a9fe:a9fe::]", ""),
    ("[2002:a00:1::1]", "i"),
    ("[2002:0808:0808::1]", "ipa"),
    ("[2002:e000:1::]", ""),
    ("[2001:0:7f00:1:0:0:f7f7:f7f7]", ""),  # the server is loopback
    ("[2001:0:0808:0808:0:0:80ff:fffe]", ""),  # the client is 127.0.0.1
    ("[2001:0:0808:0808:0:0:5601:5601]", ""),  # the client is 169.254.169.254
    ("[2001:0:0808:0808:0:0:f5ff:fffe]", "i"),  # the client is 10.0.0.1
    ("[2001:0:0808:0808:0:0:f7f7:f7f7]", "ipa"),  # the client is 8.8.8.8
    ("[64:ff9b::127.0.0.1]", ""),
    ("[64:ff9b::7f00:1]", ""),
    ("[64:ff9b::169.254.169.254]", ""),
    ("[64:ff9b::10.0.0.1]", "i"),
    ("[64:ff9b::8.8.8.8]", "ipa"),
    ("[64:ff9b:0:0:0:0:a9fe:a9fe]", ""),
    ("[64:ff9b:1::169.254.169.254]", ""),
    ("[64:ff9b:1::127.0.0.1]", ""),
    ("[64:ff9b:1:a9fe:a9:fe00::]", ""),  # /48
    ("[64:ff9b:1:00a9:fe:a9fe::]", ""),  # /56
    ("[64:ff9b:1:0:a9:fea9:fe00:0]", ""),  # /64
    ("[64:ff9b:1::10.0.0.1]", "i"),
    ("[64:ff9b:1::8.8.8.8]", "i"),
    ("[2606:4700::5efe:127.0.0.1]", ""),
    ("[2606:4700::200:5efe:169.254.169.254]", ""),
    ("[2606:4700::5efe:10.0.0.1]", "i"),
    ("[2606:4700::5efe:8.8.8.8]", "ip"),
    ("[fe80::5efe:8.8.8.8]", ""),
]
NUMBERS = [
    ("2130706433", ""),
    ("017700000001", ""),
    ("0x7f000001", ""),
    ("0X7F000001", ""),
    ("0x7f.1", ""),
    ("0x7F.0.0.1", ""),
    ("0x7f.0x0.0x0.0x1", ""),
    ("0177.0.0.1", ""),
    ("0177.0.0.01", ""),
    ("00000177.0.0.1", ""),
    ("127.1", ""),
    ("127.0.1", ""),
    ("127.65530", ""),
    ("127.0x1", ""),
    ("0", ""),
    ("0x0", ""),
    ("0x", ""),
    ("127.0.0.0x", ""),
    ("00", ""),
    ("2852039166", ""),
    ("0xa9fea9fe", ""),
    ("0xA9.0xFE.0xA9.0xFE", ""),
    ("0251.0376.0251.0376", ""),
    ("0251.254.169.254", ""),
    ("169.254.43518", ""),
    ("169.0xfea9fe", ""),
    ("169.16689662", ""),
    ("025177524776", ""),
    ("10.1", "i"),
    ("167772161", "i"),
    ("012.0.0.1", "i"),
    ("3232235521", "i"),
    ("134744072", "ipa"),
    ("0x08080808", "ipa"),
    ("010.010.010.010", "ipa"),
    ("127.0.0.1.", ""),
    ("169.254.169.254.", ""),
    ("2130706433.", ""),
    ("0x7f.1.", ""),
    ("\uff11\uff12\uff17.0.0.1", ""),
    ("\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", ""),
    ("127\u30020\u30020\u30021", ""),
    ("127\uff0e0\uff0e0\uff0e1", ""),
    ("127\uff610\uff610\uff611", ""),
    ("\uff11\uff16\uff19.\uff12\uff15\uff14.\uff11\uff16\uff19.\uff12\uff15\uff14", ""),
    ("0\uff587f.1", ""),
    ("127\u00ad.0.0.1", ""),
    ("127.0.0\u200b.1", ""),
    ("\uff18.\uff18.\uff18.\uff18", "ipa"),
]
USER_INFO = [
    ("8.8.8.8@127.0.0.1", ""),
    ("8.8.8.8:80@169.254.169.254", ""),
    ("shop.example@127.0.0.1", ""),
    ("shop.example%20@127.0.0.1", ""),
    ("a@b@127.0.0.1", ""),
    ("127.0.0.1@8.8.8.8", "ipa"),
    ("127.0.0.1:80@8.8.8.8", "ipa"),
    ("shop.example:80@[::1]", ""),
    ("127.0.0.1#@8.8.8.8/", ""),
    ("127.0.0.1?@8.8.8.8/", ""),
    ("127.0.0.1/@8.8.8.8/", ""),
    ("8.8.8.8#@127.0.0.1/", "ipa"),
    ("8.8.8.8?@127.0.0.1/", "ipa"),
]
NAMES = [
    ("app.example", "ip"),
    ("api.shop.example", "ipa"),
    ("SHOP.example.", "ipa"),
    ("a.b.shop.example", "ipa"),
    ("notshop.example", "ip"),
    ("shop.example.evil.example", "ip"),
    ("shop.example-evil.example", "ip"),
    ("\uff53hop.example", "ipa"),
    ("bücher.shop.example", "ipa"),
]
VECTORS = [
    *PUBLIC,
    *PRIVATE,
    *LOOPBACK,
    *LINK_LOCAL_AND_METADATA,
    *NOWHERE_AND_RESERVED,
    *CARRIED,
    *NUMBERS,
    *USER_INFO,
    *NAMES,
]
NO_HOSTS = [
    "256.0.0.1",
    "1.2.3.4.5",
    "127.0.0.1x.0x1g.1",
    "08.0.0.1",
    "4294967296",
    "0x100000000",
    "127.0.0.256",
    "127.16777216",
    "1.256.1",
    "a.1",
    "127.0.0.1..",
    "evil.0x7f",
    "0" * 40 + "1",
    "127.0.0.1%2f",
    "127.0.0.1%00.shop.example",
    "%31%32%37.0.0.1",
    "127.0.0.1%25lo",
    "[fe80::1%25eth0]",
    "[::1%25lo]",
    "[fe80::1%lo]",
    "[::ffff:127.0.0.1%lo]",
    "shop.example\\@127.0.0.1",
    "127.0.0.1\\.shop.example",
    "127.0.0.1\t.shop.example",
    "127.0.0.1\n.shop.example",
    "127.0.0.1\r@8.8.8.8",
    "\t127.0.0.1",
    " 127.0.0.1",
    "127.0.0.1 ",
    "127.0.0.1 @8.8.8.8",
    "127.0.0.1\x00.shop.example",
    "127.0.0.1,8.8.8.8",
    "127.0.0.1;8.8.8.8",
    "{127.0.0.1}",
    "$127.0.0.1",
    "[127.0.0.1]",
    "[v1.127.0.0.1]",
    "[::1",
    "::1",
    "[::1]evil",
    "[::1].shop.example",
    "shop..example",
    ".shop.example",
    "[::g]",
    "[1:2:3:4:5:6:7:8:9]",
    "127.0.0.1\uff052f.shop.example",
    "shop.example\u2100.evil.example",
    "\U0001d7cf.\U0001d7d0.\U0001d7d1.\U0001d7d2.\U0001d7d3",
    "é" * 64,
    ".",
    "",
    "@",
]


def targets(mode: Mode, *allow: str, **around: object) -> Targets:
    return Targets(read_limits(mode, allow, ()), Surroundings(**({"is_on_loopback": False} | around)))


def listed(host: str) -> tuple[str, ...]:
    """What the allowlist names. With addresses in it a name would have to be resolved first."""
    return (".shop.example",) if (host, "ip") in NAMES else ("198.51.100.7", "8.8.8.8", ".shop.example")


def verdict(rules: Targets, url: str) -> str | None:
    """What the client does at run time: the name is looked at, and the address if it is one."""
    place = place_of(url)
    address = address_in(place.host)
    return rules.refusal_of_name(place) if address is None else rules.refusal(place, address)


@pytest.mark.parametrize("letter", MODES)
@pytest.mark.parametrize(("host", "allowed"), VECTORS, ids=ascii)
def test_vector_is_judged_by_what_it_means(host: str, allowed: str, letter: str) -> None:
    rules = targets(MODES[letter], *listed(host) if letter == "a" else ())
    url = f"http://{host}" if host.endswith("/") else f"http://{host}/path?a=http://8.8.8.8/"
    assert (verdict(rules, url) is None) is (letter in allowed)
    assert (rules.refusal_of_url(url) is None) is (letter in allowed)
    assert (rules.refusal_of_url(url) is None) is (letter in allowed), "as it was remembered"


@pytest.mark.parametrize("host", NO_HOSTS, ids=lambda value: ascii(value)[:40])
def test_what_is_no_host_leads_nowhere(host: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        place_of(f"http://{host}/")


@pytest.mark.parametrize("host", ["1::2::3", "::1%lo", "a b", "\ud800", "%41", "\u00e9" * 64, "a/b", "[::1]"])
def test_what_is_no_host_has_no_canonical_form(host: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        canonical_host(host)


@pytest.mark.parametrize("host", ["app1", "app.example", "x.1a", "0x7f.example1"])
def test_name_is_no_address(host: str) -> None:
    assert address_in(canonical_host(host)) is None


@settings(max_examples=1000, deadline=None)
@given(authority=st.text(max_size=20) | st.text("0123456789.xX[]:%@\\\uff11\u3002", max_size=30))
def test_whatever_a_url_says_it_is_judged_or_leads_nowhere(authority: str) -> None:
    rules = targets("public")
    url = f"http://{authority}/"
    try:
        known = verdict(rules, url)
    except ValueError:
        known = None
    assert rules.refusal_of_url(url) == (None if "__" in url else known)


@settings(max_examples=500, deadline=None)
@given(inner=st.ip_addresses(v=4), low=st.integers(0, 2**64 - 1))
def test_what_an_address_carries_is_found(inner: IPv4Address, low: int) -> None:
    number = int(inner)
    for start in ("::ffff:0:0", "::ffff:0:0:0", "64:ff9b::"):
        assert judged(IPv6Address(int(IPv6Address(start)) + number)) == (inner,)
    assert judged(IPv6Address(0x2002 << 112 | number << 80 | low)) == (inner,)
    assert judged(IPv6Address(0x20010000 << 96 | number << 64 | low))[0] == inner
    assert judged(IPv6Address(0x20010000 << 96 | low & ~0xFFFFFFFF | number ^ 0xFFFFFFFF))[1] == inner
    site = 0x0064FF9B0001 << 80
    high, half = number >> 16, number & 0xFFFF
    for layout in (number, number << 24, number >> 24 << 64 | (number & 0xFFFFFF) << 32, high << 64 | half << 40):
        assert number >> 24 == 0 or inner in judged(IPv6Address(site | layout))


def test_there_are_enough_vectors() -> None:
    assert len(VECTORS) + len(NO_HOSTS) >= 150
    assert len({host for host, _ in VECTORS}) == len(VECTORS)
