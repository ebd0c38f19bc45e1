"""From a URL to where to connect and what to ask for there."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_server.executors.http_client.origin import resource_of

TARGETS = [
    ("http://h", "/"),
    ("http://h/", "/"),
    ("http://h?a=1", "/?a=1"),
    ("http://h/?", "/?"),
    ("http://h/#part", "/"),
    ("http://h#part", "/"),
    ("http://h/x?a=1#part?b=2", "/x?a=1"),
    ("http://h/a b?c d", "/a%20b?c%20d"),
    ("http://h/é?ü=ß", "/%C3%A9?%C3%BC=%C3%9F"),
    ("http://h/%2F%20%zz%?%41=%", "/%2F%20%zz%?%41=%"),
    ("http://h/é%2F%zz%?%41=é", "/%C3%A9%2F%zz%?%41=%C3%A9"),
    ("http://h/a//b/../c/./", "/a//b/../c/./"),
    ("http://h/x?u=http://other/?q=1&v=@:", "/x?u=http://other/?q=1&v=@:"),
    ("http://h/{a}|b\\c^d`e<f>'g", "/{a}|b\\c^d`e<f>'g"),
    ('http://h/"', '/"'),
    ("http://h/;a=b,c!$&'()*+=~@:", "/;a=b,c!$&'()*+=~@:"),
]


@pytest.mark.parametrize(("url", "target"), TARGETS)
def test_target_is_what_the_url_says(url: str, target: str) -> None:
    assert resource_of(url).target == target


ORIGINS = [
    ("http://example.com", False, "example.com", 80, "example.com"),
    ("http://example.com:80/", False, "example.com", 80, "example.com"),
    ("https://example.com:80/", True, "example.com", 80, "example.com:80"),
    ("https://example.com:443/", True, "example.com", 443, "example.com"),
    ("http://example.com:/", False, "example.com", 80, "example.com"),
    ("HTTP://EXAMPLE.com:65535/", False, "example.com", 65535, "example.com:65535"),
    ("http://[::1]/", False, "::1", 80, "[::1]"),
    ("https://[2001:DB8::1]:8443/", True, "2001:db8::1", 8443, "[2001:db8::1]:8443"),
    ("http://ann:secret@[::1]:81/", False, "::1", 81, "[::1]:81"),
    ("http://bücher.example/", False, "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
    ("http://127.0.0.1:8080/", False, "127.0.0.1", 8080, "127.0.0.1:8080"),
    ("http://my_host-1.:81/", False, "my_host-1.", 81, "my_host-1.:81"),
]


@pytest.mark.parametrize(("url", "is_tls", "host", "port", "place"), ORIGINS)
def test_origin_is_what_the_url_says(url: str, *, is_tls: bool, host: str, port: int, place: str) -> None:
    origin = resource_of(url).origin
    assert (origin.is_tls, origin.host, origin.port, origin.place) == (is_tls, host, port, place)


@pytest.mark.parametrize(
    ("user_info", "decoded"),
    [
        ("ann:secret", b"ann:secret"),
        ("ann", b"ann:"),
        ("ann:", b"ann:"),
        (":secret", b":secret"),
        ("a%40b:s%20c%3Ad", b"a@b:s c:d"),
        ("a:b:c", b"a:b:c"),
        ("a@b:c", b"a@b:c"),
        ("é:ü", "é:ü".encode()),
        ("a%0d%0aX:b", b"a\r\nX:b"),
    ],
)
def test_user_info_becomes_credentials(user_info: str, decoded: bytes) -> None:
    resource = resource_of(f"http://{user_info}@h/")
    assert resource.credentials is not None
    assert base64.b64decode(resource.credentials, validate=True) == decoded
    assert resource.origin.host == "h"


@pytest.mark.parametrize("url", ["http://h/", "http://@h/", "http://h/a@b"])
def test_url_without_user_info_has_no_credentials(url: str) -> None:
    assert resource_of(url).credentials is None


@pytest.mark.parametrize(
    "url",
    [
        *("", "h", "/x", "ftp://h/", "http://", "http:///x", "http://h:65536/", "http://h:99999/", "http://h:-1/"),
        *(
            "http://h:x/",
            "http://[::1/",
            "http://[x]/",
            "http://\u2028.example/",
            "http://é" + "x" * 64 + "/",
            "http://a\u3000b/",
            "http://a\x08b/",
        ),
    ],
)
def test_url_that_names_nothing_is_refused_in_words(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        resource_of(url)


@settings(max_examples=500, deadline=None)
@given(rest=st.text(max_size=30), authority=st.text(max_size=12), scheme=st.sampled_from(["http", "HTTPS"]))
def test_whatever_a_url_says_its_target_and_host_are_single_words(scheme: str, authority: str, rest: str) -> None:
    try:
        resource = resource_of(f"{scheme}://h{authority}/{rest}")
    except ValueError:
        return
    for text in (resource.target, resource.origin.place):
        assert text.isascii()
        assert text.isprintable()
    assert " " not in resource.target
    assert resource.target.startswith("/")
