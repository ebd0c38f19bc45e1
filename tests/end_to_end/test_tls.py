"""TLS by two settings, with certificates that are really presented and checked."""

import http.client
import signal
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from queue_server import __version__
from queue_server.client import Unreachable
from queue_server.domain.errors import InvalidSetting
from tests.client.talking import AsyncTalk, SyncTalk
from tests.support.certificates import write_certificate
from tests.support.fixtures import Starter
from tests.support.server import Server
from tests.support.waiting import until

DAY = timedelta(days=1)


def ask(server: Server, folder: Path, path: str = "/healthz") -> tuple[int, str]:
    """The status over TLS, and the name in the certificate, which must be the one in `folder`."""
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)
    try:
        connection.request("GET", path)
        subject = dict(pair for part in connection.sock.getpeercert()["subject"] for pair in part)
        return connection.getresponse().status, subject["commonName"]
    finally:
        connection.close()


@pytest.fixture
def start(make_server: Starter, tmp_path: Path) -> Callable[[], Server]:
    """Starts a server with the certificate in the test's folder."""

    def started() -> Server:
        flags = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
        return make_server(*flags).start()

    return started


def test_server_speaks_tls_and_nothing_else_with_a_certificate(start, tmp_path):
    write_certificate(tmp_path, "first")
    server = start()
    assert ask(server, tmp_path) == (200, "first")
    assert "https://127.0.0.1" in server.log
    with pytest.raises((http.client.HTTPException, OSError)):
        server.call("GET", "/healthz")
    assert ask(server, tmp_path, "/jobs/status")[0] == 200


def test_sighup_takes_the_new_certificate_for_new_connections_and_stops_nothing(start, tmp_path):
    write_certificate(tmp_path, "first")
    server = start()
    assert ask(server, tmp_path) == (200, "first")
    write_certificate(tmp_path, "second")
    server.signal(signal.SIGHUP)
    until(lambda: "new connections get the certificate" in server.log, 10, "the reading")
    assert ask(server, tmp_path) == (200, "second")


def test_sighup_with_a_broken_certificate_leaves_the_old_one(start, tmp_path):
    write_certificate(tmp_path, "first")
    server = start()
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "cert.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    (tmp_path / "cert.pem").write_bytes(b"nothing of use")
    server.signal(signal.SIGHUP)
    until(lambda: "the certificate stays as it was" in server.log, 10, "the complaint")
    assert ask(server, trusted) == (200, "first")


def refusal(make_server: Starter, *flags: str) -> str:
    server = make_server(*flags)
    server.launch()
    assert server.ended() != 0
    assert server.log.count("\n") == 1, server.log
    return server.log


def test_half_of_tls_is_refused_with_the_missing_setting(make_server, tmp_path):
    write_certificate(tmp_path, "x")
    assert "tls_key" in refusal(make_server, "--tls-cert", str(tmp_path / "cert.pem"))
    assert "tls_cert" in refusal(make_server, "--tls-key", str(tmp_path / "key.pem"))


def test_certificate_that_can_not_be_used_stops_the_start_with_one_line(make_server, tmp_path):
    both = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    assert "can't read" in refusal(make_server, *both)
    write_certificate(tmp_path, "x", password=b"secret")
    assert "protected by a password" in refusal(make_server, *both)
    write_certificate(tmp_path, "x")
    key = (tmp_path / "key.pem").read_bytes()
    write_certificate(tmp_path, "y")
    (tmp_path / "key.pem").write_bytes(key)
    assert "can't be used together" in refusal(make_server, *both)


def test_server_that_others_can_reach_does_not_start_without_a_token(make_server):
    line = refusal(make_server, "--host", "0.0.0.0")
    assert "token create" in line
    assert "auth" in line


def test_server_without_authentication_says_so_at_every_start(make_server):
    server = make_server("--auth", "off").start()
    until(lambda: "auth is off" in server.log, 10, "the warning")
    assert server.call("POST", "/v1/tokens", {"name": "x", "scopes": ["read"]}).status == 201
    assert server.call("GET", "/v1/jobs").status == 200


@pytest.fixture(params=[SyncTalk, AsyncTalk], ids=["sync", "async"])
def client(request: pytest.FixtureRequest) -> type[SyncTalk | AsyncTalk]:
    return request.param


def test_client_trusts_the_certificates_that_ssl_cert_file_names(start, tmp_path, client, monkeypatch):
    write_certificate(tmp_path, "queue", is_authority=False)
    url = f"https://127.0.0.1:{start().port}"
    with client(url) as stranger, pytest.raises(Unreachable, match="SSL_CERT_FILE"):
        stranger.call("stats")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with client(url) as friend:
        assert friend.call("stats").version == __version__


BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("text", "words"), [(None, "can't read .*none.pem"), (BROKEN, "a certificate that can't be read")]
)
def test_client_says_which_certificates_it_cant_read(tmp_path, client, monkeypatch, text, words):
    file = tmp_path / "none.pem"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with client("https://127.0.0.1:1") as talk, pytest.raises(InvalidSetting, match=words):
        talk.call("stats")
