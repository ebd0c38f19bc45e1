"""Signatures of requests, checked by the specification's own library and by our client."""

import base64
import os

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from queue_server.client import InvalidSignature, verify
from queue_server.clock import SystemClock
from queue_server.vault.signing import SigningKey, new_signing_secret, signature_lines, signing_bytes

NOW_S = SystemClock().now() // 1_000_000
BODY = '{"ä": 1}'.encode()


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's own: libraries look at the clock, and a run of all tests takes longer than they tolerate."""
    monkeypatch.setitem(globals(), "NOW_S", SystemClock().now() // 1_000_000)


def key(secret: str, **members) -> SigningKey:
    found = signing_bytes(secret)
    assert found
    return SigningKey(found, **members)


def signed(*keys: SigningKey, body: bytes = BODY, at_s: int | None = None, name: str = "job_7") -> dict[str, str]:
    lines = signature_lines(keys, name, (at_s or NOW_S) * 1_000_000 + 999_999, body)
    return dict(line.split(": ", 1) for line in lines.split("\r\n")[:-1])


def test_specification_s_example_has_its_signature():
    # https://github.com/standard-webhooks/standard-webhooks: the values that its libraries are tested with
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed(key(secret), body=b'{"test": 2432232314}', at_s=1614265330, name="msg_p5jXN8AQM9LWM0D4loKWxJek")
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("body", [BODY, b"", b"\x00\xff"])
def test_both_libraries_agree(body):
    secret = new_signing_secret()
    headers = signed(key(secret), body=body)
    assert verify(headers, body, secret) == "job_7"
    if body == BODY:  # theirs wants JSON
        Webhook(secret).verify(body, headers)


def test_both_secrets_sign_until_the_old_one_ends():
    new, old = new_signing_secret(), new_signing_secret()
    until = (NOW_S + 10) * 1_000_000
    keys = (key(new), key(old, until=until))
    during, after = signed(*keys), signed(*keys, at_s=NOW_S + 10)
    assert len(during["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        Webhook(secret).verify(BODY, during)
        verify(during, BODY, secret)
    assert verify(after, BODY, new, now=NOW_S + 10)
    with pytest.raises(InvalidSignature):
        verify(after, BODY, old, now=NOW_S + 10)


def test_nothing_is_sent_once_no_secret_is_in_force():
    assert signature_lines((key(new_signing_secret(), until=5),), "job_1", 5, b"") == ""


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secret_of_the_right_size_is_one(size):
    secret = "whsec_" + base64.b64encode(os.urandom(size)).decode()
    assert len(signing_bytes(secret) or b"") == size


@pytest.mark.parametrize(
    "wrong", ["", "whsec_", "whsec_AAAA", base64.b64encode(b"x" * 32).decode(), "whsec_" + "?" * 44]
)
def test_secret_of_another_kind_is_none(wrong):
    assert signing_bytes(wrong) is None
    assert signing_bytes("whsec_" + base64.b64encode(b"x" * 65).decode()) is None


TAMPERED = {
    "body": lambda headers: (headers, BODY + b" "),
    "id": lambda headers: (headers | {"webhook-id": "job_8"}, BODY),
    "timestamp": lambda headers: (headers | {"webhook-timestamp": str(NOW_S - 1)}, BODY),
    "signature": lambda headers: (headers | {"webhook-signature": "v1," + "A" * 43 + "="}, BODY),
    "version": lambda headers: (headers | {"webhook-signature": "v2" + headers["webhook-signature"][2:]}, BODY),
    "no signature": lambda headers: (headers | {"webhook-signature": ""}, BODY),
    "no header": lambda _headers: ({}, BODY),
    "not ascii": lambda headers: (headers | {"webhook-signature": "v1,ö"}, BODY),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_request_that_was_tampered_with_is_refused(change):
    secret = new_signing_secret()
    headers, body = TAMPERED[change](signed(key(secret)))
    with pytest.raises(InvalidSignature):
        verify(headers, body, secret)
    with pytest.raises((WebhookVerificationError, ValueError)):
        Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("timestamp", ["", "x", "-5", "1e9", "1" * 13, "\u0661"])
def test_timestamp_that_is_none_is_refused(timestamp):
    headers = signed(key(secret := new_signing_secret())) | {"webhook-timestamp": timestamp}
    with pytest.raises(InvalidSignature):
        verify(headers, BODY, secret)


@pytest.mark.parametrize("off_by", [-301, 301])
def test_request_of_another_time_is_refused(off_by):
    headers = signed(key(secret := new_signing_secret()))
    with pytest.raises(InvalidSignature, match="ago" if off_by > 0 else "in the future"):
        verify(headers, BODY, secret, now=NOW_S + off_by)
    assert verify(headers, BODY, secret, now=NOW_S + off_by, tolerance=302)


def test_one_of_several_secrets_is_enough_and_names_have_any_case():
    secret = new_signing_secret()
    headers = {name.title(): value for name, value in signed(key(secret)).items()}
    assert verify(headers, BODY.decode(), [new_signing_secret(), secret]) == "job_7"
    with pytest.raises(InvalidSignature):
        verify(headers, BODY, [new_signing_secret(), new_signing_secret()])


@pytest.mark.parametrize("secret", [[], "", "whsec_", "whsec_?", "ö"])
def test_secret_that_is_none_is_no_reason_to_accept(secret):
    with pytest.raises(ValueError, match="secret"):
        verify(signed(key(new_signing_secret())), BODY, secret)


def test_keys_do_not_show_in_tracebacks():
    assert "x" not in repr(SigningKey(b"xxxxxxxx"))
