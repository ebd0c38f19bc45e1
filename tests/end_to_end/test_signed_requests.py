"""Requests are signed once there is a signing secret, so that their receivers can tell who has sent them."""

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from queue_server.client import Client, InvalidSignature, verify
from tests.support.server import Server
from tests.support.target import Reply, Request, Target
from tests.support.waiting import until

SIGNATURE = ("webhook-id", "webhook-timestamp", "webhook-signature")


@pytest.fixture(scope="module")
def secret(server: Server) -> str:
    """The signing secret of the module's server."""
    with Client(server.url) as client:
        return client.create_signing_secret().secret


def headers_of(request: Request) -> dict[str, str]:
    return dict(request.headers)


def signatures_of(request: Request) -> int:
    return len((request.header("webhook-signature") or "").split())


BODIES = {
    "GET": {"params": {"a": "ä b"}},
    "HEAD": {},
    "POST json": {"json": {"ä": 1}},
    "POST form": {"params": {"a": "ä b"}},
    "POST text": {"body": "ä"},
    "POST nothing": {},
    "PUT bytes": {"body_base64": "AP8="},
    "POST secret": {"body": {"secret": "swordfish"}},
}


@pytest.mark.parametrize("case", BODIES)
def test_request_of_each_kind_is_signed(server: Server, target: Target, path: str, secret: str, case: str) -> None:
    job = server.run({"type": "http", "url": target.on(path), "method": case.split(maxsplit=1)[0], **BODIES[case]})
    (request,) = target.of(path)
    assert job["state"] == "completed"
    assert verify(headers_of(request), request.body, secret) == f"job_{job['id']}"
    if case == "POST json":
        assert Webhook(secret).verify(request.body, headers_of(request)) == {"ä": 1}


@pytest.mark.parametrize("change", ["body", *SIGNATURE])
def test_request_that_was_tampered_with_is_found_out(
    server: Server, target: Target, path: str, secret: str, change: str
) -> None:
    server.run({"type": "http", "url": target.on(path), "json": {"amount": 1}})
    (request,) = target.of(path)
    headers, body = headers_of(request), request.body
    if change == "body":
        body = body.replace(b"1", b"2")
    else:
        headers[change] = headers[change][:-2] + ("1=" if change == "webhook-signature" else "99")
    with pytest.raises(InvalidSignature):
        verify(headers, body, secret)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_id_stays_the_same_when_a_job_is_tried_again(server: Server, target: Target, path: str, secret: str) -> None:
    target.on(path, Reply(503), Reply(200))
    retry = {"max_attempts": 2, "min_delay": 0, "jitter": 0}
    job = server.run({"type": "http", "url": target.url + path}, retry=retry)
    first, second = target.of(path)
    ids = {verify(headers_of(request), request.body, secret) for request in (first, second)}
    assert ids == {f"job_{job['id']}"}


def test_callback_is_signed_as_a_job_of_its_own(server: Server, target: Target, path: str, secret: str) -> None:
    done = {"type": "http", "url": target.url + path, "method": "POST"}
    job_id = server.add({"type": "http", "url": f"{target.url}/quiet"}, callback_done=done)
    (request,) = target.wait(path)
    message_id = verify(headers_of(request), request.body, secret)
    callback = server.get(f"/v1/jobs?parent_id={job_id}")["items"][0]
    assert message_id == f"job_{callback['id']}"
    assert request.json["job_id"] == job_id


@pytest.mark.parametrize("name", ["webhook-id", "Webhook-Signature"])
def test_job_that_signs_for_itself_is_sent_as_it_is(
    server: Server, target: Target, path: str, secret: str, name: str
) -> None:
    assert secret
    server.run({"type": "http", "url": target.on(path), "headers": {name: "mine"}})
    (request,) = target.of(path)
    assert [request.header(one) for one in SIGNATURE if request.header(one)] == ["mine"]


def test_secret_is_replaced_with_an_overlap(make_server, target: Target, path: str) -> None:
    server = make_server().start()
    url = target.on(path)
    with Client(server.url) as client:
        server.run({"type": "http", "url": url})
        old = client.create_signing_secret().secret
        server.run({"type": "http", "url": url})
        new = client.rotate_signing_secret(overlap=10).secret
        server.run({"type": "http", "url": url})
        server.kill()
        server.start()  # what is in force is remembered
        server.run({"type": "http", "url": url})
        until(lambda: len(client.secrets()) == 1, 30, "the overlap's end")
        server.run({"type": "http", "url": url})
        client.delete_secret("default")
        server.run({"type": "http", "url": url})
    requests = target.of(path)
    assert [signatures_of(request) for request in requests] == [0, 1, 2, 2, 1, 0]
    verify(headers_of(requests[1]), b"", old)
    for request in requests[2:4]:
        assert {verify(headers_of(request), b"", secret) for secret in (old, new)}
    verify(headers_of(requests[4]), b"", new)
    with pytest.raises(InvalidSignature):
        verify(headers_of(requests[4]), b"", old)
