"""Names, addresses and TLS."""

import asyncio
import gc
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from queue_server.executors.http_client.client import Client
from queue_server.executors.http_client.failures import ConnectTimedOut, RequestFailed, RequestTimedOut
from tests.executors.http_client.lab import PATIENCE_S, Visit, always, client, fetch, rest, target
from tests.executors.http_client.test_giving_up import FullBacklog, Loop


def names(monkeypatch: pytest.MonkeyPatch, sender: Client, *addresses: str) -> list[str]:
    """Each name stands for these addresses; returns the names that were looked up."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setitem(sender._pool.__dict__, "_loop", Loop(getaddrinfo))
    return asked


async def test_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with target(always()) as place, client() as sender:
        asked = names(monkeypatch, sender, "127.0.0.2", "127.0.0.3", "127.0.0.1")
        assert (await fetch(sender, f"http://shop.example:{place.port}/")).status == 200
        assert asked == ["shop.example"]


async def test_next_address_is_tried_when_one_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    with FullBacklog() as port:
        async with client(0.4) as sender:
            names(monkeypatch, sender, "127.0.0.1", "127.0.0.2")
            with pytest.raises(RequestFailed, match=f"connection refused by shop.example:{port}"):
                await fetch(sender, f"http://shop.example:{port}/")


async def test_all_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with FullBacklog() as port:
        async with client(0.2) as sender:
            names(monkeypatch, sender, "127.0.0.1")
            with pytest.raises(RequestTimedOut, match=f"timed out while connecting to shop.example:{port}"):
                await fetch(sender, f"http://shop.example:{port}/")


async def test_slow_name_is_looked_up_once_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    is_known = asyncio.Event()

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        if host == "slow.example":
            await is_known.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with target(always()) as place, client(0.1) as sender:
        monkeypatch.setitem(sender._pool.__dict__, "_loop", Loop(getaddrinfo))
        slow, other = f"http://slow.example:{place.port}/", f"http://other.example:{place.port}/"
        failures = await asyncio.gather(*(fetch(sender, slow) for _ in range(20)), return_exceptions=True)
        assert {type(failure) for failure in failures} == {ConnectTimedOut}
        waiting = asyncio.ensure_future(fetch(sender, slow))
        assert (await fetch(sender, other)).status == 200
        assert asked == ["slow.example", "other.example"]
        is_known.set()
        assert (await waiting).status == 200
        assert not sender._pool._lookups


async def test_failed_look_up_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async with client() as sender:
        monkeypatch.setitem(sender._pool.__dict__, "_loop", Loop(getaddrinfo))
        for _ in range(2):
            with pytest.raises(RequestFailed) as caught:
                await fetch(sender, "http://shop.example/")
            assert str(caught.value) == "can't resolve shop.example: Temporary failure in name resolution"
    assert len(asked) == 2


async def test_look_up_that_fails_when_nobody_waits_any_more_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, complaints = asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        await may_end.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async with client(0.05) as sender:
        monkeypatch.setitem(sender._pool.__dict__, "_loop", Loop(getaddrinfo))
        with pytest.raises(RequestTimedOut):
            await fetch(sender, "http://slow.example/")
        may_end.set()
        await rest()
        assert not sender._pool._lookups
        gc.collect()
    assert not complaints


async def test_refused_connection_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with client() as sender:
            with pytest.raises(RequestFailed) as caught:
                await fetch(sender, f"http://127.0.0.1:{port}/")
    assert str(caught.value) == f"connection refused by 127.0.0.1:{port}"


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "x." * 200 + "example"])
async def test_text_that_is_no_name_is_named(host: str) -> None:
    async with client() as sender:
        with pytest.raises(RequestFailed, match=r"^can't resolve .*: \w+"):
            await fetch(sender, f"http://{host}/")


async def test_ipv6_address_is_reached() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("there is no IPv6 here")
    seen: list[bytes] = []

    async def handler(visit: Visit) -> None:
        seen.append(await visit.request())
        await visit.answer()

    async with target(handler, "::1") as place, client() as sender:
        assert (await fetch(sender, f"http://[::1]:{place.port}/")).status == 200
        assert f"\r\nHost: [::1]:{place.port}\r\n".encode() in seen[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and 127.0.0.1, with its key, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", names, "-keyout", file, "-out", file], check=True, capture_output=True)
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trust(sender: Client, certificate: Path) -> None:
    sender._pool.__dict__["_tls"] = ssl.create_default_context(cafile=certificate)


async def test_certificate_that_nobody_vouches_for_is_refused(tls: ssl.SSLContext) -> None:
    async with target(always(), tls=tls) as place, client() as sender:
        with pytest.raises(RequestFailed) as caught:
            await fetch(sender, f"https://localhost:{place.port}/")
        assert str(caught.value) == f"TLS failed with localhost:{place.port}: self-signed certificate"
        assert not place.requests


@pytest.mark.parametrize("host", ["127.0.0.2", "shop.example"])
async def test_certificate_of_another_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, certificate: Path, host: str
) -> None:
    async with target(always(), tls=tls) as place, client() as sender:
        trust(sender, certificate)
        names(monkeypatch, sender, "127.0.0.1")
        with pytest.raises(RequestFailed, match=f"TLS failed with {host}:.*certificate is not valid for '{host}'"):
            await fetch(sender, f"https://{host}:{place.port}/")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_trusted_target_is_reached_over_tls_and_kept(tls: ssl.SSLContext, certificate: Path, host: str) -> None:
    async with target(always(), tls=tls) as place, client() as sender:
        trust(sender, certificate)
        for body in (None, b"", b"x" * 1_000_000):
            method = "GET" if body is None else "POST"
            assert (await fetch(sender, f"https://{host}:{place.port}/", method, body)).text == b"ok"
        assert place.visits == 1


async def test_body_without_a_length_is_whole_over_tls(tls: ssl.SSLContext, certificate: Path) -> None:
    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000)

    async with target(handler, tls=tls) as place, client() as sender:
        trust(sender, certificate)
        assert (await fetch(sender, f"https://localhost:{place.port}/")).text == b"x" * 300_000


async def test_cancelled_over_tls_ends_the_connection_at_once(tls: ssl.SSLContext, certificate: Path) -> None:
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def handler(visit: Visit) -> None:
        await visit.request()
        arrived.set()
        await visit.end()
        ended.set()

    async with target(handler, tls=tls) as place, client() as sender:
        trust(sender, certificate)
        task = asyncio.ensure_future(fetch(sender, f"https://localhost:{place.port}/"))
        async with asyncio.timeout(PATIENCE_S):
            await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await ended.wait()


@pytest.mark.parametrize("how", ["close", "reset", "plain"])
async def test_target_that_does_not_speak_tls_is_named(how: str) -> None:
    async def handler(visit: Visit) -> None:
        await visit.reader.read(1)
        if how == "reset":
            visit.reset()
        elif how == "plain":
            await visit.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with target(handler) as place, client() as sender:
        with pytest.raises(RequestFailed) as caught:
            await fetch(sender, f"https://127.0.0.1:{place.port}/")
        assert str(caught.value).startswith(("TLS failed with 127.0.0.1:", "can't connect to 127.0.0.1:"))
        assert str(caught.value).rpartition(": ")[2].strip()
