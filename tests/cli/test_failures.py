import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import PROGRAM, CommandLine
from tests.cli.stub_server import Answer, Stub, job, of, problem


def test_a_server_that_does_not_run_is_told_with_how_to_start_it(alone: CommandLine) -> None:
    ran = alone("ls")
    assert (ran.code, ran.out) == (5, "")
    assert ran.err == (
        "error: can't reach http://127.0.0.1:9 (connection refused); "
        "is the server running? start it with: queue-server serve\n"
    )


def test_a_host_that_does_not_exist_is_unreachable(alone: CommandLine) -> None:
    ran = alone("stats", "--server", "http://no-such-host.invalid")
    assert ran.code == 5
    assert ran.err.startswith("error: can't reach http://no-such-host.invalid (")


def test_a_server_that_hangs_up_is_unreachable(alone: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = alone.start("ls", "--server", f"http://127.0.0.1:{listener.getsockname()[1]}")
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.close()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 5
    assert b"the connection to http://127.0.0.1:" in err


@pytest.mark.parametrize("command", ["show", "logs", "wait", "explain", "cancel", "retry", "run", "delete", "events"])
def test_a_job_that_does_not_exist_is_named(qs: CommandLine, command: str) -> None:
    ran = qs(command, "99")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == f"error: there is no job 99 on {qs.url} (never added, or deleted since)\n"


def test_a_missing_token_is_told_with_its_variable(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", problem(401, "A token is required"))
    ran = qs("ls")
    assert (ran.code, ran.err) == (4, "error: A token is required (set QUEUE_SERVER_TOKEN)\n")
    assert "authorization" not in stub.asked[0].headers


def test_the_token_is_sent(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", of({"items": [], "next_cursor": None}))
    assert qs("ls", QUEUE_SERVER_TOKEN="secret\n").code == 0
    assert stub.asked[0].headers["authorization"] == "Bearer secret"


def test_a_token_that_can_be_none_is_refused(alone: CommandLine) -> None:
    ran = alone("ls", QUEUE_SERVER_TOKEN="a\nb")
    assert (ran.code, ran.err) == (2, "error: QUEUE_SERVER_TOKEN holds characters that no token has\n")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>"),
        Answer(404, b"<html>"),
        Answer(500, b"\xff"),
        Answer(200, b"{}"),
        Answer(502, b"[]"),
    ],
)
def test_an_answer_of_something_else_asks_for_the_address(qs: CommandLine, stub: Stub, answer: Answer) -> None:
    stub.tell("GET /v1/jobs", answer)
    ran = qs("ls")
    assert ran.code == (3 if answer.status == 404 else 1)
    assert "is its address right?" in ran.err
    assert "Traceback" not in ran.err


def test_a_redirect_is_not_followed_but_told(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", Answer(301, b"", {"Location": "https://example.com/v1/jobs"}))
    ran = qs("ls")
    assert ran.code == 1
    assert "redirects to https://example.com/v1/jobs" in ran.err


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", of({"items": [], "next_cursor": None}))
    assert qs("ls", http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9").code == 0


def test_a_pipe_that_is_closed_ends_it_quietly(qs: CommandLine, stub: Stub) -> None:
    many = [job(number) for number in range(1000)]
    stub.tell("GET /v1/jobs", of({"items": many, "next_cursor": "1"}))
    process = qs.start("ls", "--all", "-o", "ndjson")
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (141, b"")


def test_a_stdout_that_is_closed_is_no_error(alone: CommandLine) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "version"]
    done = subprocess.run(command, capture_output=True, env=alone.environment(), timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_told(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", of({"items": [job(1)], "next_cursor": None}))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PROGRAM, "ls"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=qs.environment(),
            timeout=20,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"error: no space is left where the output goes\n")


def test_an_encoding_that_lacks_a_character_is_no_error(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", of({"items": [job(1, context="ä…")], "next_cursor": None}))
    ran = qs("ls", PYTHONIOENCODING="ascii")
    assert ran.code == 0
    assert "\\xe4\\u2026" in ran.out


def test_ctrl_c_ends_a_request_at_once_with_130(alone: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = alone.start("ls", "--server", f"http://127.0.0.1:{listener.getsockname()[1]}")
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


def test_ctrl_c_ends_waiting_with_130(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/1", of(job(1, "running")))
    process = qs.start("wait", "1")
    while not stub.asked:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


def test_an_unknown_command_is_a_usage_error_with_a_guess(alone: CommandLine) -> None:
    ran = alone("stat")
    assert (ran.code, ran.out) == (2, "")
    assert "There is no command 'stat'. Did you mean stats?" in ran.err
