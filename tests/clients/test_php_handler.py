"""PHP scripts that go on after their answer, in PHP's own web server; the queue server is a stub."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.clients.answers import answer, job, problem
from tests.clients.broken_line import line_to, lost
from tests.clients.conftest import Stub
from tests.clients.php import CLIENT
from tests.clients.web_server import WebServer, web_server
from tests.support.raw import Answer
from tests.support.target import Reply, Request
from tests.support.tools import needs
from tests.support.waiting import until

pytestmark = needs("php")

OURS = {"X-Queue-Job-Id": "7", "X-Queue-Claim": "3", "X-Queue-Attempt": "2"}
HEARTBEAT, COMPLETE, FAIL = (f"/v1/jobs/7/attempts/3/{what}" for what in ("heartbeat", "complete", "fail"))
GOES_ON = answer({"job_id": 7, "claim": 3, "heartbeat_until": "…", "cancel_requested": False})

Serve = Callable[..., WebServer]


@pytest.fixture
def serve(tmp_path: Path, stub: Stub) -> Iterator[Serve]:
    """Serves code with `$job`, the handler of its request, whose queue server is the stub."""
    stub.on(COMPLETE, answer(job()))
    stub.on(FAIL, answer(job()))
    with ExitStack() as stack:

        def start(code: str, *flags: str, url: str = stub.url) -> WebServer:
            script = tmp_path / "handler.php"
            script.write_text(
                f"""<?php
                declare(strict_types=1);
                use QueueServer\\{{Client, Handler}};
                require_once {json.dumps(str(CLIENT))};
                $job = Handler::fromRequest(new Client({json.dumps(url)}, retries: 1));
                {code}
                """
            )
            return stack.enter_context(web_server(script, *flags))

        yield start


def request(server: WebServer, headers: dict[str, str] | None = None) -> Answer:
    """The answer as an HTTP client reads it: as soon as it is whole, whether or not the connection is closed."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/", b"{}", OURS if headers is None else headers)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def told(stub: Stub, path: str) -> Request:
    until(lambda: stub.of(path), 30, f"a request of {path}")
    return stub.one(path)


@pytest.mark.parametrize("buffering", ["0", "4096"])
def test_a_handler_answers_at_once_and_goes_on(stub: Stub, serve: Serve, buffering: str) -> None:
    go_on = threading.Event()
    stub.on(HEARTBEAT, Reply(200, GOES_ON.body, hold=go_on))
    server = serve(
        """
        ob_start();
        echo 'this goes nowhere';
        $job->run(function (Handler $job): string {
            echo str_repeat('nor does this', 10000);
            return $job->heartbeat(90, 'half') ? "all {$job->jobId} {$job->claim} {$job->attempt} ü" : 'no';
        });
        echo 'nor this';
        """,
        *("-d", f"output_buffering={buffering}"),
    )
    answered = request(server)
    assert (answered.status, answered.headers["X-Queue-Continue"], answered.body) == (202, "true", b"")
    assert answered.headers["X-Queue-Heartbeat"] is None
    assert told(stub, HEARTBEAT).json == {"timeout": 90, "message": "half"}
    assert stub.of(COMPLETE) == []
    go_on.set()
    assert told(stub, COMPLETE).json == {"output": "all 7 3 2 ü"}
    assert stub.of(FAIL) == []


def test_a_handler_may_ask_for_more_time(serve: Serve) -> None:
    server = serve("$job->continueInBackground(heartbeat: 300); $job->complete();")
    assert request(server).headers["X-Queue-Heartbeat"] == "300"


def test_work_that_returns_nothing_completes(stub: Stub, serve: Serve) -> None:
    request(serve("$job->run(function (): void { });"))
    assert told(stub, COMPLETE).json == {}


def test_work_that_throws_fails(stub: Stub, serve: Serve) -> None:
    server = serve(r"""$job->run(fn () => throw new DomainException("no \xff ink"));""")
    assert request(server).status == 202
    assert told(stub, FAIL).json == {"error": "DomainException: no \ufffd ink"}
    until(lambda: "Uncaught DomainException" in server.log, 30, "the error in PHP's log")
    assert stub.of(COMPLETE) == []


def test_what_people_read_is_made_one_line(stub: Stub, serve: Serve) -> None:
    stub.on(HEARTBEAT, GOES_ON)
    server = serve(
        r"""
        $job->continueInBackground();
        $job->heartbeat(message: "\n1 of\t2 \0 \u{2028}ü");
        $job->fail(str_repeat("ü\r\n", 600), "bytes \xff\n stay");
        """
    )
    request(server)
    failed = told(stub, FAIL).json
    assert failed == {"error": "ü " * 499 + "ü…", "output": "bytes \ufffd\n stay"}
    assert stub.one(HEARTBEAT).json == {"message": "1 of 2 ü"}


def test_a_line_that_just_fits_is_whole(stub: Stub, serve: Serve) -> None:
    request(serve("$job->continueInBackground(); $job->fail(str_repeat('ü', 1000));"))
    assert told(stub, FAIL).json == {"error": "ü" * 1000}


def test_work_that_has_told_its_end_is_not_completed_again(stub: Stub, serve: Serve) -> None:
    server = serve("$job->run(fn (Handler $job) => $job->fail('no ink', 'out', 3, 60)); error_log('over');")
    request(server)
    until(lambda: "over" in server.log, 30, "the end of the script")
    assert told(stub, FAIL).json == {"error": "no ink", "output": "out", "exit_code": 3, "retry_after": 60}
    assert stub.of(COMPLETE) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("str_repeat('x', 1 << 30);", "Allowed memory size of 67108864 bytes exhausted"),
        ("undefined_function();", "Uncaught Error: Call to undefined function undefined_function()"),
    ],
)
def test_a_fatal_error_fails_the_job(stub: Stub, serve: Serve, code: str, message: str) -> None:
    request(serve(f"$job->continueInBackground(); {code}", "-d", "memory_limit=64M"))
    assert message in told(stub, FAIL).json["error"]


def test_a_script_that_just_ends_leaves_the_result_to_another(stub: Stub, serve: Serve) -> None:
    server = serve("$job->continueInBackground(); register_shutdown_function(fn () => error_log('over'));")
    request(server)
    until(lambda: "over" in server.log, 30, "the end of the script")
    assert stub.of(FAIL) == stub.of(COMPLETE) == []


@pytest.mark.parametrize("reply", [GOES_ON, problem(503, "Stopping"), Reply(raw=b"")])
def test_work_goes_on_also_while_the_server_is_away(stub: Stub, serve: Serve, reply: Reply) -> None:
    stub.on(HEARTBEAT, reply)
    request(serve("$job->run(fn (Handler $job) => $job->heartbeat() ? 'yes' : 'no');"))
    assert told(stub, COMPLETE).json == {"output": "yes"}


@pytest.mark.parametrize("then", ["return 'x'", "throw new Exception('x')", "undefined_function()"])
@pytest.mark.parametrize(
    "reply", [answer({"cancel_requested": True}), problem(409, "Claim 3 is over"), problem(404, "There is no job 7")]
)
def test_work_that_was_told_to_stop_tells_no_end(stub: Stub, serve: Serve, reply: Reply, then: str) -> None:
    stub.on(HEARTBEAT, reply)
    server = serve(
        f"""
        register_shutdown_function(fn () => register_shutdown_function(fn () => error_log('over')));
        $job->run(function (Handler $job) {{ error_log($job->heartbeat() ? 'go on' : 'stop'); {then}; }});
        """
    )
    request(server)
    until(lambda: "over" in server.log, 30, "the end of the script")
    assert "stop" in server.log
    assert stub.of(COMPLETE) == stub.of(FAIL) == []


def test_work_whose_job_was_taken_away_just_ends(stub: Stub, serve: Serve) -> None:
    stub.on(COMPLETE, problem(409, "Claim 3 is over"))
    server = serve("$job->run(fn () => 'x'); error_log('over');")
    request(server)
    until(lambda: "over" in server.log, 30, "the end of the script")
    assert "Conflict" not in server.log
    assert stub.of(FAIL) == []


def test_a_failure_that_can_not_be_told_is_in_the_log_only(stub: Stub, serve: Serve) -> None:
    with line_to(stub.port, lost) as line:
        server = serve("$job->run(fn () => throw new Exception('no ink'));", url=line.url)
        request(server)
        until(lambda: "Uncaught Exception: no ink" in server.log, 30, "the error in PHP's log")
    assert "Unreachable" not in server.log


@pytest.mark.parametrize("missing", OURS)
def test_a_request_of_anybody_else_is_refused(serve: Serve, missing: str) -> None:
    server = serve("$job->run(fn () => 'x');")
    found = request(server, {name: value for name, value in OURS.items() if name != missing})
    assert found.status == 500
    assert "not sent by Queue Server" in server.log
    assert request(server, {**OURS, missing: "1; DROP"}).status == 500


def test_continuing_after_output_was_sent_is_an_error(serve: Serve) -> None:
    server = serve("echo 'x'; flush(); $job->continueInBackground();", "-d", "output_buffering=0")
    request(server)
    until(lambda: "comes too late: output was sent at" in server.log, 30, "the error in PHP's log")
