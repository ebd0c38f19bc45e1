"""The log: one line for each end of a job, whatever a client writes into it."""

import json
import os
import pty
import re
from typing import Any

import pytest

from tests.support.fixtures import Starter
from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.waiting import until

CONSOLE_LINE = re.compile(r"\d\d:\d\d:\d\d  \S")
HOSTILE = (
    "\u202eevil\u2028next \u009b31m\u0085line\ufeff"  # what a context may hold: no control characters below U+0020
)


def ended_lines(server: Server, job: int) -> list[str]:
    return [line for line in server.log.splitlines() if f" job {job} " in line]


def test_console_log_has_one_line_for_each_end(server: Server, target: Target, path: str) -> None:
    good = server.add({"type": "http", "url": target.on(path) + "?secret=1"}, context="shop")
    bad = server.add({"type": "http", "url": target.on(path + "/bad", Reply(500))})
    server.wait_end(good), server.wait_end(bad)
    until(lambda: ended_lines(server, good) and ended_lines(server, bad))
    (line,) = ended_lines(server, good)
    assert re.fullmatch(
        rf"\d\d:\d\d:\d\d  ✓ job {good} completed  200 in \d+\.\d\d\d s  GET 127.0.0.1:{target.port}{path}  shop", line
    )
    (line,) = ended_lines(server, bad)
    assert f"✗ job {bad} failed  500 in " in line
    assert "HTTP 500 Internal Server Error" in line
    assert "secret" not in server.log


def test_console_log_has_no_colours_off_a_terminal(server: Server, target: Target, path: str) -> None:
    job = server.add({"type": "http", "url": target.on(path)}, context=HOSTILE)
    server.wait_end(job)
    until(lambda: ended_lines(server, job))
    assert "\x1b" not in server.log


def test_console_log_tells_of_a_retry_and_of_a_callback(server: Server, target: Target, path: str) -> None:
    job = server.add(
        {"type": "http", "url": target.on(path, Reply(500), Reply(200))},
        retry={"max_attempts": 2, "min_delay": 0.1},
        callback_done={"type": "http", "url": target.on(path + "/done")},
    )
    until(lambda: f"callback of job {job}: job" in server.log)
    lines = ended_lines(server, job)
    assert "↻" in lines[0]
    assert "will be tried again" in lines[0]
    assert "✓" in lines[1]


HOSTILE_JOBS: dict[str, dict[str, Any]] = {
    "context": {"context": HOSTILE},
    "url": {"url": "http://127.0.0.1:9/\u2028x\u0085y\u009b31m"},
    "cmd": {"cmd": "echo 'a\nb' \x1b[31m \r\n 12:00:00  ✓ job 1 completed \u0085 \x9b31m; exit 1"},
    "args": {"args": ["/bin/false\n12:00:00  ✓ forged", "\x1b[2J"]},
    "header of the answer": {"reply": Reply(302, headers=[("Location", "/\x1b[31mred\x85\x9bx")])},
}


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_hostile_text_can_not_add_lines_or_steer_the_terminal(
    make_server: Starter, target: Target, path: str, log_format: str
) -> None:
    server = make_server("--exec", "any", "--log-format", log_format).start()
    start = len(server.log.splitlines())
    for members in HOSTILE_JOBS.values():
        kind = "exec" if "cmd" in members or "args" in members else "http"
        command = {name: members[name] for name in ("url", "cmd", "args") if name in members}
        if kind == "http" and not command:
            command = {"url": target.on(path, *([members["reply"]] if "reply" in members else []))}
        server.wait_end(server.add({"type": kind, **command}, context=members.get("context", "c")))
    lines = until(lambda: found if len(found := server.log.split("\n")[start:-1]) == len(HOSTILE_JOBS) else None)
    assert server.log.splitlines()[start:] == lines  # no other line ends either (U+0085, U+2028)
    for line in lines:
        assert CONSOLE_LINE.match(line) or json.loads(line)["job_id"]
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e\ufeff]", line), ascii(line)


def test_json_log_is_an_object_a_line(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--log-format", "json").start()
    job = server.add(
        {"type": "http", "url": target.on(path, Reply(500))},
        context="shop",
        callback_done={"type": "http", "url": target.on(path + "/done")},
    )
    target.wait(path + "/done")
    until(lambda: "callback_of" in server.log)
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert all({"time", "level", "event"} <= set(line) for line in lines)
    (ended,) = [line for line in lines if line.get("job_id") == job]
    assert ended["event"] == "job failed"
    assert (ended["state"], ended["attempt"], ended["context"], ended["outcome"]) == ("failed", 1, "shop", "failed")
    assert (ended["exit_code"], ended["reason"]) == (500, "HTTP 500 Internal Server Error")
    assert ended["duration_s"] >= 0
    assert [line["callback_of"] for line in lines if "callback_of" in line] == [job]
    assert lines[-1]["event"] == "stopped"


def test_quiet_log_level_leaves_out_the_ends_of_jobs(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--log-level", "warning")
    server.start_unread()
    server.run({"type": "http", "url": target.on(path, Reply(500))})
    assert server.stop() == 0
    assert server.log == ""


def test_reader_of_the_log_that_stops_reading_does_not_stop_the_server(
    make_server: Starter, target: Target, path: str
) -> None:
    reading, writing = os.pipe()
    server = make_server("--concurrency", "20", stderr=writing)
    server.start_unread()
    os.close(writing)
    context = "x" * 250
    jobs = [server.add({"type": "http", "url": target.on(path)}, context=context) for _ in range(300)]
    assert len(jobs) * 300 > 1.3 * 65536  # more than the pipe holds
    target.wait(path, 300)
    assert server.run({"type": "http", "url": target.on(path + "/last")})["state"] == "completed"
    server.signal(15)
    assert server.ended(10) == 0
    os.close(reading)


def test_reader_of_the_log_that_goes_away_does_not_stop_the_server(
    make_server: Starter, target: Target, path: str
) -> None:
    reading, writing = os.pipe()
    server = make_server(stderr=writing)
    server.start_unread()
    os.close(writing)
    os.close(reading)
    for _ in range(5):
        assert server.run({"type": "http", "url": target.on(path)})["state"] == "completed"
    assert server.stop() == 0


def test_terminal_has_colours_and_no_color_has_none(make_server: Starter, target: Target) -> None:
    shown = []
    for environ in ({}, {"NO_COLOR": "1"}):
        ours, theirs = pty.openpty()
        server = make_server(stderr=theirs, environ={"TERM": "xterm", **environ})
        server.start_unread()
        server.run({"type": "http", "url": target.url})
        assert server.stop() == 0
        os.close(theirs)
        text = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(ours)
        shown.append(text)
    assert b"\x1b[32m" in shown[0]
    assert b"\x1b" not in shown[1]


def test_log_of_a_start_names_what_matters(server: Server) -> None:
    first = server.log.splitlines()[0]
    assert f"listens on {server.url}" in first
    assert "slots=100" in first
    assert f"pid={server.pid}" in first
