"""What the PHP client does when a request fails: which it repeats, what it throws."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.answers import answer, job, problem
from tests.clients.broken_line import Fate, cut, line_to, lost, torn, whole
from tests.clients.conftest import Maker, Stub
from tests.clients.php import Php, Thrown
from tests.support.server import free_port, timed
from tests.support.target import NEVER, Reply, running_target
from tests.support.tools import needs
from tests.support.waiting import until

pytestmark = needs("php")

ADD = "return $queue->add(['command' => ['type' => 'http', 'url' => 'http://x/']]);"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "InvalidJob"),
        (401, "NotAllowed"),
        (403, "NotAllowed"),
        (404, "NotFound"),
        (405, "QueueServerException"),
        (409, "Conflict"),
        (410, "JobDeleted"),
        (413, "TooLarge"),
        (422, "KeyMismatch"),
        (500, "QueueServerException"),
    ],
)
def test_each_status_has_its_exception_and_is_not_repeated(stub: Stub, status: int, kind: str) -> None:
    stub.on("/v1/jobs", problem(status, "What it was.", **{"command/url": "is missing", "tags/ü": "is bad"}))
    with pytest.raises(Thrown) as thrown:
        stub(ADD)
    assert (thrown.value.kind, thrown.value.message) == (kind, "What it was.")
    assert thrown.value.properties == {
        "status": status,
        "errors": {"/command/url": "is missing", "/tags/ü": "is bad"},
        "added": [],
    }
    assert len(stub.of("/v1/jobs")) == 1


def test_two_errors_at_one_place_are_both_told(stub: Stub) -> None:
    errors = [{"pointer": "", "detail": "is one"}, {"pointer": "", "detail": "is another"}]
    stub.on("/v1/jobs", answer({"detail": "Both.", "errors": errors}, 400))
    with pytest.raises(Thrown) as thrown:
        stub(ADD)
    assert thrown.value.properties["errors"] == {"": "is one; is another"}


def test_errors_in_a_later_part_are_counted_from_the_first_job(stub: Stub) -> None:
    found = problem(400, "Wrong.", **{"0/command": "is missing", "17/command/url": "is bad"})
    stub.on("/v1/jobs/batch", answer({"ids": list(range(10_000))}, 201), found)
    with pytest.raises(Thrown, match="Wrong") as thrown:
        stub("$queue->addMany(array_fill(0, 10100, ['key' => 'a']));")
    assert thrown.value.kind == "InvalidJob"
    assert thrown.value.properties["errors"] == {"/10000/command": "is missing", "/10017/command/url": "is bad"}
    assert thrown.value.properties["added"] == list(range(10_000))


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(200, b"<html>\n Hello \xff"), "GET /v1/stats was answered 200: <html> Hello \ufffd"),
        (Reply(200, b'"text"'), 'GET /v1/stats was answered 200: "text"'),
        (Reply(200, b""), "GET /v1/stats was answered 200 without a body"),
        (Reply(200, b'{"a":'), 'GET /v1/stats was answered 200: {"a":'),
        (Reply(500, b"Oh no"), "GET /v1/stats was answered 500: Oh no"),
        (Reply(301, b"", [("Location", "https://x/")]), "it points to https://x/; is the server's URL right?"),
    ],
)
def test_an_answer_that_is_not_the_servers_is_shown(stub: Stub, reply: Reply, message: str) -> None:
    stub.on("/v1/stats", reply)
    with pytest.raises(Thrown) as thrown:
        stub("$queue->stats();")
    assert thrown.value.kind == "QueueServerException"
    assert message in thrown.value.message


@pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_an_answer_that_is_not_http_is_no_answer(stub: Stub, raw: bytes) -> None:
    stub.on("/v1/stats", Reply(raw=raw))
    with pytest.raises(Thrown) as thrown:
        stub.php(retries=0)("$queue->stats();")
    assert thrown.value.kind == "Unreachable"
    assert thrown.value.properties["mayBeDone"] is True


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
    ],
)
def test_half_an_answer_is_no_answer(stub: Stub, raw: bytes) -> None:
    stub.on("/v1/stats", Reply(raw=raw))
    with pytest.raises(Thrown, match="broke off"):
        stub.php(retries=0)("$queue->stats();")


@pytest.mark.parametrize("fates", [(lost, whole), (torn, whole), (cut, whole), (lost, torn, cut, whole)])
def test_an_add_whose_answer_is_lost_is_sent_again_the_same(stub: Stub, fates: Sequence[Fate]) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    with line_to(stub.port, *fates) as line:
        assert stub.php(url=line.url + stub.base)(ADD)["id"] == 7
    assert len(line.requests) == len(fates)
    assert len(set(line.requests)) == 1
    assert b"Idempotency-Key: " in line.requests[0]


@pytest.mark.parametrize("fate", [lost, torn, cut])
@pytest.mark.parametrize("call", ["retry(7)", "retryJobs([])"])
def test_what_could_do_harm_twice_is_not_repeated(stub: Stub, call: str, fate: Fate) -> None:
    with line_to(stub.port, fate) as line:
        thrown = failure_of(stub.php(url=line.url), f"$queue->{call};")
    assert (thrown.kind, thrown.properties["mayBeDone"]) == ("Unreachable", True)
    assert len(line.requests) == 1


def test_what_was_surely_not_done_is_repeated_always(stub: Stub) -> None:
    stub.on("/v1/jobs/7/retry", problem(503, "Later.", {"Retry-After": "0"}), answer(job()))
    assert stub("return $queue->retry(7);")["id"] == 7


@pytest.mark.parametrize(("status", "count"), [(502, 1), (504, 1), (429, 3), (503, 3)])
def test_a_proxys_error_leaves_in_doubt_whether_it_was_done(stub: Stub, status: int, count: int) -> None:
    stub.on("/v1/jobs/7/retry", problem(status, "Later."))
    with pytest.raises(Thrown) as thrown:
        stub.php(retries=2)("$queue->retry(7);")
    assert (thrown.value.kind, thrown.value.properties["status"]) == ("Unavailable", status)
    assert len(stub.of("/v1/jobs/7/retry")) == count


def test_a_connection_that_is_refused_is_tried_again(make_php: Maker) -> None:
    php = make_php(f"http://127.0.0.1:{free_port()}", retries=2)
    seconds, thrown = timed(failure_of, php, "$queue->retry(7);")
    assert thrown.kind == "Unreachable"
    assert "can't be reached: Connection refused" in thrown.message
    assert thrown.properties == {"status": 0, "errors": [], "added": [], "mayBeDone": False}
    assert seconds >= 0.3, "it pauses 0.1 s and 0.2 s at least"


def test_a_server_that_comes_back_gets_the_request(make_php: Maker, tmp_path: Path) -> None:
    was_refused = tmp_path / "refused"
    with running_target() as late:
        late.on("/v1/stats", answer({"version": "1"}))
        late.refuse()
        listening = threading.Thread(target=lambda: (until(was_refused.exists, 60), late.listen()))
        listening.start()
        found = make_php(late.url, retries=10)(
            """
            try {
                (new Client($in['client']['url'], retries: 0))->stats();
            } catch (QueueServer\\Unreachable) {
                touch($in['file']);
            }
            return $queue->stats();
            """,
            file=str(was_refused),
        )
        listening.join()
    assert found == {"version": "1"}


def test_retry_after_is_honoured(stub: Stub) -> None:
    stub.on("/v1/jobs", problem(503, "The queue is full.", {"Retry-After": "1"}), answer(job(), 201))
    assert stub(ADD)["id"] == 7
    first, second = stub.of("/v1/jobs")
    assert 1 <= second.at - first.at < 3
    assert first.header("Idempotency-Key") == second.header("Idempotency-Key")


@pytest.mark.parametrize(("value", "least"), [("3600", 3600), ("Wed, 21 Oct 2099 07:28:00 GMT", 10**9)])
def test_a_long_retry_after_is_the_callers_business(stub: Stub, value: str, least: float) -> None:
    stub.on("/v1/jobs", problem(503, "The disk is full.", {"Retry-After": value}))
    with pytest.raises(Thrown, match="The disk is full") as thrown:
        stub(ADD)
    assert thrown.value.properties["retryAfter"] >= least
    assert len(stub.of("/v1/jobs")) == 1


def test_tries_are_limited(stub: Stub) -> None:
    stub.on("/v1/jobs", problem(503, "No.", {"Retry-After": "soon"}))
    with pytest.raises(Thrown) as thrown:
        stub.php(retries=2)(ADD)
    assert (thrown.value.kind, thrown.value.properties["retryAfter"]) == ("Unavailable", None)
    assert len(stub.of("/v1/jobs")) == 3


def test_a_delete_whose_answer_was_lost_is_done(stub: Stub) -> None:
    stub.on("/v1/jobs/7", Reply(204, b""), problem(404, "There is no job 7"))
    with line_to(stub.port, lost, whole) as line:
        assert stub.php(url=line.url + stub.base)("$queue->delete(7); return 'done';") == "done"
    assert len(line.requests) == 2
    with pytest.raises(Thrown, match="NotFound"):
        stub("$queue->delete(7);")


def test_a_run_whose_answer_was_lost_is_done(stub: Stub) -> None:
    stub.on("/v1/jobs/7/run", answer(job()), problem(409, "Job 7 is running"))
    stub.on("/v1/jobs/7", answer(job(state="running")))
    with line_to(stub.port, lost, whole) as line:
        assert stub.php(url=line.url + stub.base)("return $queue->run(7);")["state"] == "running"


@pytest.mark.parametrize(
    ("call", "outcome"),
    [("complete(7, 3)", "succeeded"), ("fail(7, 3)", "failed")],
)
def test_a_result_whose_answer_was_lost_has_been_told(stub: Stub, call: str, outcome: str) -> None:
    attempts = [{"claim": 2, "outcome": "timed_out"}, {"claim": 3, "outcome": outcome}]
    with result_asked_twice(stub, attempts) as php:
        assert php(f"return $queue->{call};")["state"] == "completed"


@pytest.mark.parametrize(
    ("call", "attempts"),
    [
        ("complete(7, 3)", [{"claim": 3, "outcome": "timed_out"}]),
        ("complete(7, 3)", [{"claim": 2, "outcome": "succeeded"}]),
        ("fail(7, 3)", []),
    ],
)
def test_a_result_that_came_too_late_is_a_conflict(stub: Stub, call: str, attempts: object) -> None:
    with result_asked_twice(stub, attempts) as php, pytest.raises(Thrown, match="Conflict: Claim 3 is over"):
        php(f"$queue->{call};")


@contextmanager
def result_asked_twice(stub: Stub, attempts: object) -> Iterator[Php]:
    """PHP whose first answer gets lost; the second says that the claim is over."""
    for what in ("complete", "fail"):
        stub.on(f"/v1/jobs/7/attempts/3/{what}", answer(job()), problem(409, "Claim 3 is over"))
    stub.on("/v1/jobs/7/attempts", answer({"items": attempts}))
    stub.on("/v1/jobs/7", answer(job(state="completed")))
    with line_to(stub.port, lost, whole) as line:
        yield stub.php(url=line.url + stub.base)


def test_a_silent_server_is_given_up_after_the_timeout(stub: Stub) -> None:
    stub.on("/v1/stats", NEVER)
    with pytest.raises(Thrown, match="no answer in time") as thrown:
        stub.php(timeout=0.3, retries=1)("$queue->stats();")
    assert (thrown.value.kind, thrown.value.properties["mayBeDone"]) == ("Unreachable", True)
    assert len(stub.of("/v1/stats")) == 2


def test_the_timeout_holds_for_an_answer_that_drips(stub: Stub) -> None:
    """Each piece comes in time, the whole does not."""
    is_over = threading.Event()

    def drip() -> Iterator[bytes]:
        while not is_over.wait(0.1):
            yield b" "

    stub.on("/v1/stats", Reply(200, pieces=drip, is_chunked=True, close=True))
    seconds, thrown = timed(failure_of, stub.php(timeout=0.5, retries=0), "$queue->stats();")
    is_over.set()
    assert "no answer in time" in thrown.message
    assert seconds < 5


def test_the_timeout_holds_for_a_server_that_does_not_read(make_php: Maker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        php = make_php(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5, retries=0)
        thrown = failure_of(php, "$queue->addHttp('http://x/', body: str_repeat('x', 20000000));")
    assert "no answer in time" in thrown.message


def test_a_server_that_refuses_a_body_halfway_is_heard(make_php: Maker) -> None:
    head = b"HTTP/1.1 413 Too Large\r\nContent-Length: 20\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = threading.Thread(target=_refuse, args=(listener, head + b'{"detail":"Too big"}'))
        refusing.start()
        php = make_php(f"http://127.0.0.1:{listener.getsockname()[1]}", retries=0)
        thrown = failure_of(php, "$queue->addHttp('http://x/', body: str_repeat('x', 20000000));")
        refusing.join()
    assert (thrown.message, thrown.properties["status"]) == ("Too big", 413)


def _refuse(listener: socket.socket, answer: bytes) -> None:
    """Answer after the first bytes, and reset the connection: that is what closing with unread bytes does."""
    channel, _ = listener.accept()
    with channel:
        channel.recv(1000)
        channel.sendall(answer)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:1337",
        "ftp://x/",
        "http://",
        "http://u:p@x/",
        "http://x/?a=b",
        "http://x/#a",
        "http://x\r\nA: b/",
        "http:///x",
    ],
)
def test_a_url_that_is_none_is_refused(make_php: Maker, url: str) -> None:
    assert "URL must be like" in failure_of(make_php(url), "").message


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "ü", ""])
def test_a_token_that_fits_no_header_is_refused(make_php: Maker, token: str) -> None:
    assert "token must be" in failure_of(make_php("http://x", token=token), "").message


def failure_of(php: Php, code: str) -> Thrown:
    with pytest.raises(Thrown) as thrown:
        php(code)
    return thrown.value
