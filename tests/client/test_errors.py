import pytest

from queue_server.client import (
    ClientError,
    Conflict,
    Deleted,
    ForeignAnswer,
    IdempotencyMismatch,
    Invalid,
    NotAuthorised,
    NotFound,
    QueueServerError,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from tests.cli.stub_server import Answer, Stub, problem
from tests.client.talking import AsyncTalk, SyncTalk, Talk

ERRORS = {
    400: Invalid,
    401: NotAuthorised,
    403: NotAuthorised,
    404: NotFound,
    409: Conflict,
    410: Deleted,
    413: TooLarge,
    418: Refused,
    422: IdempotencyMismatch,
    500: Refused,
    503: Unavailable,
}


@pytest.mark.parametrize(("status", "kind"), ERRORS.items())
def test_each_status_has_its_error_with_what_the_server_said(
    talk: Talk, stub: Stub, status: int, kind: type[ClientError]
) -> None:
    stub.tell("POST /v1/jobs/7/retry", problem(status, "Job 7 says no"))
    with pytest.raises(QueueServerError) as caught:
        talk.call("retry", 7)
    error = caught.value
    assert type(error) is kind
    assert error.status == status
    assert error.problem
    assert error.problem.detail == "Job 7 says no"


def test_mistakes_are_told_one_by_one(talk: Talk, stub: Stub) -> None:
    mistakes = [{"pointer": "/command/url", "detail": "must name a host"}, {"pointer": "", "detail": "is odd"}]
    stub.tell("POST /v1/jobs", problem(400, "Invalid request", mistakes))
    with pytest.raises(Invalid) as caught:
        talk.call("add", url="http://")
    assert [(error.pointer, error.detail) for error in caught.value.errors] == [
        ("/command/url", "must name a host"),
        ("", "is odd"),
    ]
    assert str(caught.value) == "2 errors\n/command/url: must name a host\nis odd"


def test_a_missing_job_is_named(talk: Talk, stub: Stub) -> None:
    with pytest.raises(NotFound, match=f"^there is no job 99 on {stub.url} "):
        talk.call("get", 99)


def test_unavailable_says_when_to_come_again(talk: Talk, stub: Stub) -> None:
    stub.tell("DELETE /v1/jobs/7", problem(503, "stopping", **{"Retry-After": "9"}))
    with pytest.raises(Unavailable, match=r"^stopping \(try again in 9 s\)$") as caught:
        talk.call("delete", 7)
    assert caught.value.retry_after == 9


@pytest.mark.parametrize("answer", [Answer(200, b"<html>"), Answer(404, b"<html>"), Answer(500, b"\xff"), Answer(200)])
def test_an_answer_of_something_else_is_foreign(talk: Talk, stub: Stub, answer: Answer) -> None:
    stub.tell("GET /v1/jobs/7", answer)
    with pytest.raises(ForeignAnswer, match="is its address right") as caught:
        talk.call("get", 7)
    assert caught.value.status == answer.status


def test_a_redirect_is_told_and_not_followed(talk: Talk, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", Answer(301, b"", {"Location": "https://example.com/"}))
    with pytest.raises(ForeignAnswer, match=r"redirects to https://example\.com/"):
        talk.call("get", 7)


@pytest.mark.parametrize("kind", [SyncTalk, AsyncTalk])
def test_a_refused_connection_is_told_at_once(kind: type[SyncTalk]) -> None:
    with kind("http://127.0.0.1:9") as talk, pytest.raises(Unreachable, match="connection refused") as caught:
        talk.call("add", url="http://x/")
    assert (caught.value.is_refused, caught.value.was_reached, caught.value.status) == (True, False, None)


@pytest.mark.parametrize("kind", [SyncTalk, AsyncTalk])
def test_a_silent_server_is_given_up(kind: type[SyncTalk], silent: str) -> None:
    with kind(silent, timeout=0.2, retry_for=0) as talk, pytest.raises(Unreachable, match="did not answer in time"):
        talk.call("get", 7)


def test_an_address_or_token_that_can_be_none_is_refused() -> None:
    with pytest.raises(QueueServerError, match="must start with http"):
        SyncTalk("localhost:1337")
    for url in ("http://", "http://a b", "http://[::1", "http://x:99999", "http://..", "https://:1"):
        with pytest.raises(QueueServerError, match="is no address of a server"):
            SyncTalk(url)
    with pytest.raises(QueueServerError, match="no token has"):
        SyncTalk("http://x", token="a\nb")
