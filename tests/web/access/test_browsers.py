"""Which pages may ask from a browser, and under which names a server without tokens is known."""

import pytest

from queue_server.web.access.browsers import HOSTS_KEPT, Browsers

OPEN = Browsers(("queue.example.com", ".corp.example"), ("https://admin.example.com/", "http://localhost:3000"))


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"localhost:1337",
        b"LOCALHOST:1337",
        b"app.localhost:1337",
        b"127.0.0.1",
        b"127.0.0.1:1337",
        b"10.0.0.7:80",
        b"[::1]:1337",
        b"[::1]",
        b"queue",
        b"queue:1337",
        b"queue.example.com",
        b"queue.example.com.:8443",
        b"a.b.corp.example",
        b"",
    ],
)
def test_names_that_no_stranger_can_own_are_taken(host):
    assert OPEN.refuses_host(host) is None
    assert OPEN.refuses_host(host) is None


@pytest.mark.parametrize(
    "host",
    [
        b"evil.com",
        b"evil.com:1337",
        b"127.0.0.1.evil.com",
        b"localhost.evil.com",
        b"notqueue.example.com",
        b"queue.example.com.evil.com",
        b"corp.example",
        b"evilcorp.example",
        b"127.0.0.1.nip.io:1337",
        b"1.2.3",
        b"\xff.\xfe",
        b"a.b:c",
    ],
)
def test_name_that_a_stranger_can_own_is_refused_with_the_setting(host):
    for _ in range(2):
        failure = OPEN.refuses_host(host)
        assert failure
        assert failure.status == 403
        assert "allowed_hosts" in failure.sentence


def test_names_are_remembered_within_bounds():
    for number in range(3 * HOSTS_KEPT):
        OPEN.refuses_host(b"evil%d.com" % number)
    assert len(OPEN._known) <= HOSTS_KEPT
    assert OPEN.refuses_host(b"evil1.com")
    assert OPEN.refuses_host(b"queue") is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"origin": b"http://127.0.0.1:1337", b"host": b"127.0.0.1:1337"},
        {b"origin": b"http://queue.example.com", b"host": b"queue.example.com"},
        {b"origin": b"http://queue:80", b"host": b"queue"},
        {b"origin": b"https://Queue.Example.com:443", b"host": b"queue.example.com"},
        {b"origin": b"https://admin.example.com", b"host": b"queue"},
        {b"origin": b"http://localhost:3000", b"host": b"localhost:1337", b"sec-fetch-site": b"same-site"},
        {b"sec-fetch-site": b"same-origin"},
        {b"sec-fetch-site": b"none"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests_of_programs_and_of_known_pages_are_taken(headers, method):
    assert OPEN.refuses_page(headers, method) is None


@pytest.mark.parametrize(
    "headers",
    [
        {b"origin": b"http://evil.com", b"host": b"127.0.0.1:1337"},
        {b"origin": b"null", b"host": b"127.0.0.1:1337"},
        {b"origin": b"null"},
        {b"origin": b"null", b"host": b""},
        {b"origin": b"", b"host": b"127.0.0.1:1337"},
        {b"origin": b"http://127.0.0.1:8000", b"host": b"127.0.0.1:1337"},
        {b"origin": b"http://localhost:1337", b"host": b"127.0.0.1:1337"},
        {b"origin": b"https://admin.example.com.evil.com", b"host": b"queue"},
        {b"origin": b"http://admin.example.com", b"host": b"queue"},
        {b"origin": b"file://", b"host": b"queue"},
        {b"sec-fetch-site": b"cross-site"},
        {b"sec-fetch-site": b"same-site"},
        {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"no-cors"},
        {b"sec-fetch-site": b"something-new"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_requests_of_foreign_pages_are_refused_with_the_setting(headers, method):
    failure = OPEN.refuses_page(headers, method)
    assert failure
    assert failure.status == 403
    assert "allowed_origins" in failure.sentence


def test_link_that_a_user_follows_is_no_request_of_the_page():
    followed = {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"navigate"}
    assert OPEN.refuses_page(followed, "GET") is None
    assert OPEN.refuses_page(followed, "POST") is not None
