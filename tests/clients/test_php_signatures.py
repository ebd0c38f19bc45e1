"""The PHP client checks signatures: of the running server, and of requests that were tampered with."""

import base64
from pathlib import Path
from typing import Any

import pytest

from queue_server.client import Client
from queue_server.clock import SystemClock
from queue_server.vault.signing import SigningKey, new_signing_secret, signature_lines, signing_bytes
from tests.clients.conftest import Maker
from tests.clients.php import CLIENT, Php, Thrown
from tests.clients.web_server import web_server
from tests.support.server import Server
from tests.support.target import Target
from tests.support.tools import needs

pytestmark = needs("php")

NOW_S = SystemClock().now() // 1_000_000
BODY = '{"ä": 1}'
VERIFY = (
    "return QueueServer\\Signature::verify($in['headers'], base64_decode($in['body']), $in['secret'], "
    "now: $in['now'] ?? null);"
)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's own: libraries look at the clock, and a run of all tests takes longer than they tolerate."""
    monkeypatch.setitem(globals(), "NOW_S", SystemClock().now() // 1_000_000)


@pytest.fixture
def php(make_php: Maker) -> Php:
    """PHP that asks no server."""
    return make_php("http://127.0.0.1:9")


def signed(secret: str) -> dict[str, str]:
    key = SigningKey(signing_bytes(secret) or b"")
    lines = signature_lines([key], "job_7", NOW_S * 1_000_000, BODY.encode())
    return dict(line.split(": ", 1) for line in lines.split("\r\n")[:-1])


def check(php: Php, headers: Any, body: str | bytes, secret: Any, **values: Any) -> Any:
    content = body if isinstance(body, bytes) else body.encode()
    return php(VERIFY, headers=headers, body=base64.b64encode(content).decode(), secret=secret, **values)


def test_request_of_the_running_server_is_genuine(make_server, target: Target, path: str, php: Php) -> None:
    server: Server = make_server().start()
    with Client(server.url) as client:
        secret = client.create_signing_secret().secret
    job = server.run({"type": "http", "url": target.on(path), "body_base64": "AP8="})
    (request,) = target.of(path)
    assert check(php, dict(request.headers), request.body, secret) == f"job_{job['id']}"
    with pytest.raises(Thrown, match="InvalidSignature: No signature"):
        check(php, dict(request.headers), request.body + b"x", secret)


def test_script_checks_the_request_that_it_answers(make_server, tmp_path: Path) -> None:
    server: Server = make_server().start()
    with Client(server.url) as client:
        secret = client.create_signing_secret().secret
    script = tmp_path / "receiver.php"
    script.write_text(
        f"<?php require_once '{CLIENT}'; try {{ echo QueueServer\\Signature::verifyRequest('{secret}'); }}"
        " catch (QueueServer\\InvalidSignature $error) { http_response_code(401); echo $error->getMessage(); }"
    )
    with web_server(script) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        job = server.run({"type": "http", "url": url, "json": {"a": 1}})
        assert (job["state"], server.output(job["id"])) == ("completed", f"job_{job['id']}".encode())
        refused = server.run({"type": "http", "url": url, "json": {}, "headers": {"webhook-id": "forged"}})
        assert refused["exit_code"] == 401


def test_names_of_headers_have_any_case(php: Php) -> None:
    secret = new_signing_secret()
    headers = {name.title(): value for name, value in signed(secret).items()}
    assert check(php, headers, BODY, secret) == "job_7"
    of_server = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in signed(secret).items()}
    assert check(php, of_server, BODY, [new_signing_secret(), secret]) == "job_7"


def test_one_of_several_signatures_is_enough(php: Php) -> None:
    secret = new_signing_secret()
    headers = signed(secret)
    headers["webhook-signature"] = f"v1,{'A' * 43}= v1a,x {headers['webhook-signature']}"
    assert check(php, headers, BODY, secret) == "job_7"


TAMPERED = {
    "body": ({}, "{}"),
    "id": ({"webhook-id": "job_8"}, BODY),
    "timestamp": ({"webhook-timestamp": str(NOW_S + 1)}, BODY),
    "bad timestamp": ({"webhook-timestamp": "1e9"}, BODY),
    "signature": ({"webhook-signature": f"v1,{'A' * 43}="}, BODY),
    "no signature": ({"webhook-signature": ""}, BODY),
    "list": ({"webhook-signature": ["v1,x"]}, BODY),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_request_that_was_tampered_with_is_refused(php: Php, case: str) -> None:
    secret = new_signing_secret()
    change, body = TAMPERED[case]
    with pytest.raises(Thrown, match=r"^InvalidSignature"):
        check(php, signed(secret) | change, body, secret)


@pytest.mark.parametrize("off_by", [-301, 301])
def test_request_of_another_time_is_refused(php: Php, off_by: int) -> None:
    secret = new_signing_secret()
    with pytest.raises(Thrown, match="ago" if off_by > 0 else "in the future"):
        check(php, signed(secret), BODY, secret, now=NOW_S + off_by)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", []])
def test_secret_that_is_none_is_no_reason_to_accept(php: Php, secret: Any) -> None:
    with pytest.raises(Thrown, match="InvalidArgumentException"):
        check(php, signed(new_signing_secret()), BODY, secret)
