"""What the settings and a token allow, and how they add up."""

from ipaddress import ip_address

import pytest

from queue_server.domain.errors import InvalidSetting
from queue_server.domain.hosts import Place
from queue_server.domain.target_items import ANYWHERE, Mode, TargetLimits
from queue_server.domain.targets import REMEMBERED, TOKENS, Database, Surroundings, Targets, read_limits, token_limits

OWN = {ip_address("127.0.0.1"), ip_address("::1"), ip_address("192.168.1.5"), ip_address("203.0.113.9")}


def rules(mode: Mode = "internal", allow: str = "", deny: str = "", **around: object) -> Targets:
    """The rules of a server that other machines can reach."""
    limits = read_limits(mode, allow.split(), deny.split())
    return Targets(limits, Surroundings(**({"is_on_loopback": False, "is_own": OWN.__contains__} | around)))


def is_allowed(targets: Targets, host: str, address: str = "", port: int = 80, limits: TargetLimits = ANYWHERE) -> bool:
    """Whether a host may be resolved and the address connected to; without an address, the host is one."""
    place = Place(host, port)
    if address and targets.refusal_of_name(place, limits):
        return False
    return targets.refusal(place, ip_address(address or host), limits) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.9.9.9"])
def test_loopback_is_open_where_the_server_is_bound_to_it(host: str) -> None:
    assert is_allowed(rules(is_on_loopback=True), host)
    assert is_allowed(rules(is_on_loopback=True), "app.example", host)
    assert not is_allowed(rules(), host)
    assert not is_allowed(rules("public", is_on_loopback=True), host)
    assert not is_allowed(rules("allowlist", is_on_loopback=True), host)


ALLOWED = [
    # allow, host, address, port, mode
    ("10.0.0.0/8", "10.1.2.3", "", 80, "public"),
    ("10.0.0.0/8", "app.example", "10.1.2.3", 80, "public"),
    ("10.0.0.0/8:8080", "10.1.2.3", "", 8080, "allowlist"),
    ("10.1.2.3", "::ffff:10.1.2.3", "", 80, "allowlist"),
    ("::ffff:10.0.0.0/104", "10.1.2.3", "", 80, "allowlist"),
    ("[fd00::/8]:443", "fd00::1", "", 443, "public"),
    ("[::1]", "::1", "", 80, "internal"),
    ("::1", "::1", "", 80, "internal"),
    ("[::1]:80", "::1", "", 80, "internal"),
    ("127.0.0.1", "127.0.0.1", "", 80, "internal"),
    ("127.0.0.0/8", "127.3.2.1", "", 80, "public"),
    ("localhost", "localhost", "127.0.0.1", 80, "internal"),
    ("localhost", "LOCALHOST.", "::1", 80, "public"),
    ("localhost:8000", "localhost", "127.0.0.1", 8000, "allowlist"),
    ("app.example", "app.example", "10.0.0.1", 80, "public"),
    ("App.Example.", "app.example", "8.8.8.8", 80, "allowlist"),
    (".shop.example", "a.shop.example", "10.0.0.1", 80, "public"),
    ("*.shop.example:443", "shop.example", "10.0.0.1", 443, "public"),
    ("b\u00fccher.example", "xn--bcher-kva.example", "8.8.8.8", 80, "allowlist"),
    (":8080", "app.example", "8.8.8.8", 8080, "allowlist"),
    (":8080", "10.0.0.1", "", 8080, "public"),
    ("0.0.0.0/0", "10.0.0.1", "", 80, "allowlist"),
    ("0.0.0.0/0", "8.8.8.8", "", 80, "allowlist"),
    ("169.254.0.0/16", "169.254.7.7", "", 80, "internal"),
    ("169.254.7.7", "app.example", "169.254.7.7", 80, "public"),
    ("198.18.0.0/15", "198.18.0.1", "", 80, "internal"),
    ("fe80::/10", "fe80::1", "", 80, "internal"),
    ("169.254.169.254", "169.254.169.254", "", 80, "internal"),
    ("169.254.169.254", "::ffff:169.254.169.254", "", 80, "allowlist"),
    ("169.254.169.254:80 metadata.google.internal", "metadata.google.internal", "169.254.169.254", 80, "public"),
    ("fd00:ec2::254", "fd00:ec2::254", "", 80, "public"),
    ("64:ff9b::/96", "64:ff9b::8.8.8.8", "", 80, "allowlist"),
]
NOT_ALLOWED = [
    ("10.0.0.0/8:8080", "10.1.2.3", "", 80, "public"),
    ("11.0.0.0/8", "10.1.2.3", "", 80, "public"),
    ("app.example", "other.example", "10.0.0.1", 80, "public"),
    ("app.example:443", "app.example", "8.8.8.8", 80, "allowlist"),
    ("app.example", "app.example", "127.0.0.1", 80, "internal"),
    ("app.example", "app.example", "169.254.169.254", 80, "internal"),
    ("app.example", "app.example", "169.254.1.1", 80, "allowlist"),
    ("app.example", "app.example", "0.0.0.0", 80, "allowlist"),
    ("app.example", "app.example", "198.18.0.1", 80, "internal"),
    ("app.example", "app.example", "100.100.100.200", 80, "internal"),
    ("localhost", "localhost", "169.254.169.254", 80, "internal"),
    ("localhost", "localhost.evil.example", "127.0.0.1", 80, "internal"),
    (".localhost", "a.localhost", "127.0.0.1", 80, "internal"),
    (":80", "app.example", "127.0.0.1", 80, "internal"),
    (":80", "169.254.169.254", "", 80, "internal"),
    ("0.0.0.0/0", "127.0.0.1", "", 80, "allowlist"),
    ("0.0.0.0/0", "169.254.169.254", "", 80, "internal"),
    ("0.0.0.0/0", "169.254.1.1", "", 80, "internal"),
    ("0.0.0.0/0", "198.18.0.1", "", 80, "internal"),
    ("::/0", "::1", "", 80, "internal"),
    ("::/0", "fe80::1", "", 80, "internal"),
    ("::/0", "::ffff:127.0.0.1", "", 80, "internal"),
    ("64:ff9b::/96", "64:ff9b::169.254.169.254", "", 80, "internal"),
    ("64:ff9b::/96", "64:ff9b::127.0.0.1", "", 80, "internal"),
    ("169.254.0.0/16", "169.254.169.254", "", 80, "internal"),
    ("169.254.169.254/31", "169.254.169.254", "", 80, "internal"),
    ("100.64.0.0/10", "100.100.100.200", "", 80, "internal"),
    ("169.254.169.254", "metadata.google.internal", "169.254.169.254", 80, "internal"),
    ("metadata.google.internal", "metadata.google.internal", "169.254.169.254", 80, "internal"),
    (".google.internal", "metadata.google.internal", "8.8.8.8", 80, "internal"),
    ("0.0.0.0", "0.0.0.0", "", 80, "internal"),
    ("0.0.0.0/8", "0.0.0.1", "", 80, "internal"),
    ("::", "::", "", 80, "internal"),
    ("224.0.0.0/4", "224.0.0.1", "", 80, "internal"),
    ("ff00::/8", "ff02::1", "", 80, "internal"),
    ("10.0.0.0/8", "app.example", "8.8.8.8", 80, "allowlist"),
]


@pytest.mark.parametrize(("allow", "host", "address", "port", "mode"), ALLOWED)
def test_http_allow_opens(allow: str, host: str, address: str, port: int, mode: Mode) -> None:
    assert is_allowed(rules(mode, allow), host, address, port)


@pytest.mark.parametrize(("allow", "host", "address", "port", "mode"), NOT_ALLOWED)
def test_http_allow_does_not_open(allow: str, host: str, address: str, port: int, mode: Mode) -> None:
    assert not is_allowed(rules(mode, allow), host, address, port)


DENIED = [
    ("8.8.8.8", "8.8.8.8", "", 80),
    ("8.8.8.0/24", "app.example", "8.8.8.8", 80),
    ("8.8.8.8", "::ffff:8.8.8.8", "", 80),
    ("8.8.8.8", "64:ff9b::8.8.8.8", "", 80),
    ("64:ff9b::/96", "64:ff9b::8.8.8.8", "", 80),
    ("2002::/16", "2002:808:808::1", "", 80),
    ("8.8.8.8:443", "8.8.8.8", "", 443),
    ("app.example", "APP.example.", "8.8.8.8", 80),
    (".example", "app.example", "8.8.8.8", 80),
    (".app.example", "app.example", "8.8.8.8", 80),
    (":80", "app.example", "8.8.8.8", 80),
    (":80", "8.8.8.8", "", 80),
    ("127.0.0.0/8", "127.0.0.1", "", 80),
]


@pytest.mark.parametrize(("deny", "host", "address", "port"), DENIED)
def test_http_deny_beats_what_is_allowed(deny: str, host: str, address: str, port: int) -> None:
    allow = "8.8.8.8 app.example :80 :443 127.0.0.1 64:ff9b::/96"
    assert is_allowed(rules("internal", allow), host, address, port)
    assert not is_allowed(rules("internal", allow, deny), host, address, port)


@pytest.mark.parametrize("deny", ["8.8.8.8:443", "8.8.4.4", "other.example", ".other.example", ":443", "example"])
def test_http_deny_refuses_no_more_than_it_says(deny: str) -> None:
    assert is_allowed(rules(deny=deny), "app.example", "8.8.8.8")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("10.0.0.0/33", "is not a network, an address"),
        ("10.0.0.1/8", "write it as 10.0.0.0/8"),
        ("fd00::1/8", "write it as fd00::/8"),
        ("::ffff:10.0.0.1/104", "write it as ::ffff:a00:0/104"),
        ("10.0.0", "write it as 10.0.0.0"),
        ("0x7f.1", "write it as 127.0.0.1"),
        ("2130706433", "write it as 127.0.0.1"),
        ("1.2.3.4.5", "neither an address nor a name"),
        ("app.example:0", "the port '0'"),
        ("app.example:65536", "the port '65536'"),
        ("app.example:http", "the port 'http'"),
        ("app.example:\u0664\u0664", "the port"),
        ("app.example:", "the port ''"),
        (":", "the port ''"),
        ("[::1", "is not a network"),
        ("[::1]80", "is not a network"),
        ("[127.0.0.1]:80", "is not a network"),
        ("::1%lo", "'::1%lo' has a zone"),
        ("fe80::%1/64", "has a zone"),
        ("::g", "is not a network"),
        ("*", "is no name of a host"),
        ("*.", "is no name of a host"),
        (".", "is no name of a host"),
        (".0.0.1", "is not the end of a name"),
        ("http://app.example", "the port '//app.example'"),
        ("app.example/path", "is not a network"),
        ("a b", "is no name of a host"),
        ("user@app.example", "is no name of a host"),
        ("", "is not a network"),
    ],
)
def test_item_that_is_none_is_named_with_its_setting(item: str, words: str) -> None:
    for allow, deny, setting in (([item], (), "http_allow"), ((), [item], "http_deny")):
        with pytest.raises(InvalidSetting) as caught:
            read_limits("internal", allow, deny)
        assert str(caught.value).startswith(f"{setting}: {item!r} ")
        assert words in str(caught.value)
    with pytest.raises(ValueError, match=r"\w"):
        token_limits(None, [item], ())


def test_refusal_names_the_target_and_the_setting() -> None:
    targets = rules("internal", deny="8.8.8.8 evil.example")
    address = ip_address("169.254.169.254")
    assert (
        targets.refusal(Place("169.254.169.254", 80), address)
        == "target 169.254.169.254 is not allowed (setting http_targets)"
    )
    assert targets.refusal(Place("app.example", 80), address) == (
        "target app.example leads to 169.254.169.254, which is not allowed (setting http_targets)"
    )
    assert (
        targets.refusal(Place("8.8.8.8", 80), ip_address("8.8.8.8"))
        == "target 8.8.8.8 is not allowed (setting http_deny)"
    )
    assert (
        targets.refusal_of_name(Place("evil.example", 80)) == "target evil.example is not allowed (setting http_deny)"
    )
    limits = token_limits("public", (), ())
    assert targets.refusal(Place("10.0.0.1", 80), ip_address("10.0.0.1"), limits) == (
        "target 10.0.0.1 is not allowed (http_targets of the token that added the job)"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.168.1.5", "203.0.113.9"])
def test_own_port_is_refused_on_every_address_of_the_machine(host: str) -> None:
    targets = rules("internal", "127.0.0.1 ::1 203.0.113.9", own_port=1337)
    assert is_allowed(targets, host, port=8000)
    assert not is_allowed(targets, host, port=1337)
    assert not is_allowed(targets, "app.example", host, port=1337)
    assert "this server itself" in (targets.refusal(Place(host, 1337), ip_address(host)) or "")
    assert is_allowed(targets, "192.168.1.6", port=1337)


def test_database_is_refused_by_name_by_address_and_by_another_address_of_its_machine() -> None:
    remote = Database("db.internal", 5432, (ip_address("10.0.0.9"),))
    local = Database("localhost", 3306, (ip_address("127.0.0.1"),))
    targets = rules("internal", "10.0.0.9 127.0.0.1", databases=(remote, local))
    for host, port in (("10.0.0.9", 5432), ("::ffff:10.0.0.9", 5432), ("127.0.0.1", 3306), ("192.168.1.5", 3306)):
        assert "this server's database" in (targets.refusal(Place(host, port), ip_address(host)) or "")
    assert not is_allowed(targets, "DB.internal.", "10.0.0.77", port=5432)
    assert is_allowed(targets, "10.0.0.9", port=80)
    assert is_allowed(targets, "10.0.0.8", port=5432)
    assert is_allowed(targets, "127.0.0.1", port=5432)


TOKEN_LIMITS = [
    # mode, allow, deny, host, is allowed
    (None, "", "", "10.0.0.1", True),
    ("internal", "", "", "10.0.0.1", True),
    ("public", "", "", "10.0.0.1", False),
    ("public", "10.0.0.1", "", "10.0.0.1", True),
    ("allowlist", "", "", "8.8.8.8", False),
    ("allowlist", "8.8.8.8", "", "8.8.8.8", True),
    (None, "8.8.8.8", "", "8.8.8.8", True),
    (None, "8.8.8.8", "", "10.0.0.1", False),
    (None, "", "10.0.0.0/8", "10.0.0.1", False),
    (None, "", "10.0.0.0/8", "8.8.8.8", True),
    ("internal", "169.254.169.254", "", "169.254.169.254", False),  # the server does not allow it
    (None, "9.9.9.9", "", "9.9.9.9", False),  # the server denies it
]


@pytest.mark.parametrize(("mode", "allow", "deny", "host", "allowed"), TOKEN_LIMITS)
def test_token_narrows_what_the_server_allows(
    mode: Mode | None, allow: str, deny: str, host: str, *, allowed: bool
) -> None:
    targets = rules("internal", deny="9.9.9.9")
    limits = token_limits(mode, allow.split(), deny.split())
    assert limits.whose == TOKENS
    assert is_allowed(targets, host, limits=limits) is allowed
    assert (targets.refusal_of_url(f"http://{host}/", limits) is None) is allowed


def test_what_the_server_opens_a_token_without_mode_may_reach() -> None:
    targets = rules("internal", "127.0.0.1 169.254.169.254 metadata.goog")
    limits = token_limits(None, (), ("8.8.8.8",))
    assert is_allowed(targets, "127.0.0.1", limits=limits)
    assert is_allowed(targets, "metadata.goog", "169.254.169.254", limits=limits)


AT_THE_DOOR = [
    ("http://app.example/", True),
    ("http://app.example", True),
    ("http://app.example?x=/", True),
    ("http://evil.example/", False),
    ("http://evil.example", False),
    ("http://evil.example?a=http://app.example/", False),
    ("http://evil.example#/app", False),
    ("http://app.example@evil.example/", False),
    ("HTTPS://EVIL.example:443/", False),
    ("http://8.8.8.8/evil.example", True),
    ("http://169.254.169.254/latest", False),
    ("http://2852039166/latest", False),
    ("http://[::ffff:a9fe:a9fe]/", False),
    ("http://metadata.google.internal/", False),
    ("http://__CONTEXT__.evil.example/", True),  # judged when it runs
    ("http://1.2.3.4.5/", True),  # no host: fails when it runs
    ("http://evil.example:x/", True),
]


@pytest.mark.parametrize(("url", "allowed"), AT_THE_DOOR)
def test_door_refuses_what_needs_no_name_server(url: str, *, allowed: bool) -> None:
    targets = rules(deny="evil.example")
    for _ in range(2):
        assert (targets.refusal_of_url(url) is None) is allowed


@pytest.mark.parametrize(
    ("allow", "url", "allowed"),
    [
        ("app.example", "http://app.example/", True),
        ("app.example", "http://other.example/", False),
        ("app.example:443", "https://app.example/", True),
        ("app.example:443", "http://app.example/", False),
        ("10.0.0.0/8", "http://other.example/", True),  # it may lead there
        ("10.0.0.0/8:443", "http://other.example/", False),
        (":80", "http://other.example/", True),
        ("", "http://other.example/", False),
    ],
)
def test_door_of_an_allowlist(allow: str, url: str, *, allowed: bool) -> None:
    assert (rules("allowlist", allow).refusal_of_url(url) is None) is allowed


def test_remembered_verdicts_are_bounded() -> None:
    targets = rules(deny="evil.example")
    for number in range(2 * REMEMBERED + 10):
        assert targets.refusal_of_url(f"http://h{number}.example/") is None
    assert targets.refusal_of_url("http://evil.example/" + "x" * 1000)
    assert targets.refusal_of_url("http://evil.example?" + "x" * 1000)
    assert len(targets._verdicts) <= REMEMBERED
    assert all(len(start) < 301 for start in targets._verdicts)


def test_name_of_a_metadata_service_is_refused_wherever_it_leads() -> None:
    assert rules().refusal(Place("metadata.goog", 80), ip_address("8.8.8.8"))
    assert rules().refusal_of_name(Place("metadata.goog", 80))


def test_surroundings_know_loopback_by_themselves() -> None:
    targets = Targets(read_limits("internal", (), ()), Surroundings(own_port=1337))
    assert not is_allowed(targets, "127.0.0.1", port=1337)
    assert is_allowed(targets, "10.0.0.1", port=1337)
