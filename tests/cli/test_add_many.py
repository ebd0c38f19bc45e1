import json
import signal

import pytest

from tests.cli.running import CommandLine
from tests.cli.stub_server import Answer, Stub, job, of, problem

JOB = b'{"command":{"type":"http","url":"http://x/"}}\n'


def test_each_line_becomes_a_job_and_its_id_is_printed(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", *(of(job(number, "available"), 201) for number in range(1, 101)))
    ran = qs("add", "-", stdin=JOB * 100)
    assert (ran.code, ran.err) == (0, "")
    assert sorted(map(int, ran.out.split())) == list(range(1, 101))
    assert {asked.body for asked in stub.asked} == {JOB}


def test_the_results_come_in_the_order_of_the_lines(real: CommandLine) -> None:
    lines = b"".join(
        b'{"command":{"type":"http","url":"http://127.0.0.1:9/"},"delay":9999,"context":"%d"}\n' % number
        for number in range(200)
    )
    ran = real("add", "-", "-o", "ndjson", stdin=lines)
    assert (ran.code, ran.err) == (0, "")
    assert [json.loads(line)["context"] for line in ran.out.splitlines()] == [str(number) for number in range(200)]


def test_a_bad_line_is_told_with_its_number_and_does_not_stop_the_others(qs: CommandLine, stub: Stub) -> None:
    bad = problem(400, "Invalid request", [{"pointer": "", "detail": "the body is not JSON"}])
    stub.tell("POST /v1/jobs", bad)
    ran = qs("add", "-", stdin=b"\n  \nx\n\ny")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: line 3: the body is not JSON\nerror: line 5: the body is not JSON\n"


def test_a_busy_server_is_asked_again(qs: CommandLine, stub: Stub) -> None:
    busy = problem(503, "busy", **{"Retry-After": "0"})
    stub.tell("POST /v1/jobs", busy, busy, of(job(3, "available"), 201))
    ran = qs("add", "-", stdin=JOB)
    assert (ran.code, ran.out, ran.err) == (0, "3\n", "")
    assert len(stub.asked) == 3


def test_each_line_has_a_key_that_makes_it_safe_to_send_again(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", Answer(201, b"", breaks=True), of(job(3, "available"), 201))
    ran = qs("add", "-", stdin=JOB * 2)
    assert (ran.code, ran.out, ran.err) == (0, "3\n3\n", "")
    keys = [asked.headers["idempotency-key"] for asked in stub.asked]
    assert (len(keys), len(set(keys))) == (3, 2)


def test_a_line_may_bring_its_own_key(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", of(job(3, "available"), 201))
    qs("add", "-", stdin=b'{"idempotency_key": "mine"}\n')
    assert "idempotency-key" not in stub.asked[0].headers


def test_a_server_that_can_not_be_reached_ends_it(alone: CommandLine) -> None:
    ran = alone("add", "-", stdin=JOB * 50)
    assert (ran.code, ran.out) == (5, "")
    assert ran.err.startswith("error: line 1: can't reach http://127.0.0.1:9 (connection refused)")
    assert ran.err.count("\n") == 2


def test_a_wrong_token_ends_it(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", problem(401, "A token is required"))
    ran = qs("add", "-", stdin=JOB * 500)
    assert ran.code == 4
    assert ran.err.startswith("error: line 1: A token is required (set QUEUE_SERVER_TOKEN)\n")


def test_json_is_an_array(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", of(job(3, "available"), 201))
    assert [item["id"] for item in json.loads(qs("add", "-", "-o", "json", stdin=JOB * 2).out)] == [3, 3]
    assert json.loads(qs("add", "-", "-o", "json").out) == []


@pytest.mark.parametrize("lines", [0, 2])
def test_ctrl_c_ends_it_at_once_while_stdin_stays_open(qs: CommandLine, stub: Stub, lines: int) -> None:
    stub.tell("POST /v1/jobs", of(job(3, "available"), 201))
    process = qs.start("add", "-")
    assert process.stdin
    assert process.stdout
    process.stdin.write(JOB * (lines + 1))
    process.stdin.flush()
    for _ in range(lines + 1):
        assert process.stdout.readline() == b"3\n"
    process.send_signal(signal.SIGINT)
    code = process.wait(10)
    assert (code, process.stdout.read(), process.stderr.read().strip()) == (130, b"", b"")
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def test_a_terminal_shows_a_bar_above_which_the_ids_scroll(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", of(job(41, "available"), 201))
    shown = qs.on_terminal("add", "-", stdin=JOB * 3).out
    assert "41" in shown
    assert "3 added" in shown
