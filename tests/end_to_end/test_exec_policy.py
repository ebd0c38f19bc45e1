"""Which commands may run, on the real server: what is refused at the door, what a command sees, what it leaves."""

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import Answer
from tests.support.server import Server
from tests.support.waiting import until

SECRET = "s3cret-of-the-server-0123456789abcdef-0123456789"

FILE = """
exec = "named"
auth = "off"

[commands.show]
args = ["printf", "%s|%s|", "{file}", "{size}"]
parameters.file = { type = "path", within = "/var/uploads" }
parameters.size = { type = "text", pattern = "[0-9]{1,4}x[0-9]{1,4}", default = "200x200" }

[commands.wait]
args = ["sleep", "{seconds}"]
parameters.seconds = { type = "integer", max = 1000 }

[commands.environment]
args = ["env"]
"""
MIB = 1024


def started(make_server: Starter, text: str = FILE, folder: Path | None = None, **environ: str) -> Server:
    server = make_server("--shutdown-grace", "0", folder=folder, environ=environ)
    (server.folder / "queue-server.toml").write_text(text)
    return server.start()


def added(server: Server, **command: Any) -> Answer:
    return server.call("POST", "/v1/jobs", {"command": {"type": "exec", **command}})


def problems(answer: Answer) -> dict[str, str]:
    return {error["pointer"]: error["detail"] for error in answer.json["errors"]}


def test_named_commands_run_and_all_else_is_refused_with_its_member(make_server: Starter) -> None:
    server = started(make_server)
    arguments = {"file": "/var/uploads/a b.png"}
    job = server.run({"type": "exec", "name": "show", "arguments": arguments})
    assert (job["state"], job["summary"], job["command"]["arguments"]) == ("completed", "show", arguments)
    assert server.output(job["id"]) == b"/var/uploads/a b.png|200x200|"

    for command, status, pointer in (
        ({"cmd": "id"}, 403, "/command/cmd"),
        ({"args": ["id"]}, 403, "/command/args"),
        ({"name": "rm"}, 403, "/command/name"),
        ({"name": "show"}, 400, "/command/arguments/file"),
        ({"name": "show", "arguments": {"file": "/etc/passwd"}}, 400, "/command/arguments/file"),
        ({"name": "show", "arguments": arguments | {"size": "-1x1"}}, 400, "/command/arguments/size"),
        ({"name": "show", "arguments": arguments | {"more": 1}}, 400, "/command/arguments/more"),
        ({"name": "show", "arguments": {"file": ["/var/uploads/a"]}}, 400, "/command/arguments/file"),
        ({"name": "wait", "arguments": {"seconds": 10**4000}}, 400, "/command/arguments/seconds"),
        ({"name": "show", "arguments": arguments, "env": {"A": "1"}}, 400, "/command/env/A"),
        ({"name": "show", "arguments": arguments, "stdin": "x"}, 400, "/command/stdin"),
        ({"name": "show", "arguments": arguments, "uid": 0}, 400, "/command/uid"),
        ({"name": "show", "cmd": "id"}, 400, "/command"),
    ):
        answer = added(server, **command)
        assert (answer.status, [*problems(answer)]) == (status, [pointer]), (command, answer)

    callback = {"type": "exec", "name": "wait", "arguments": {"seconds": "soon"}}
    body = {"command": {"type": "http", "url": "http://127.0.0.1:9/"}, "callback_done": callback}
    answer = server.call("POST", "/jobs/add", body)
    assert (answer.status, answer.json["errors"][0]["path"]) == (400, "/callback_done/arguments/seconds")


def test_waiting_job_of_a_command_that_is_gone_fails_and_says_why(make_server: Starter) -> None:
    server = started(make_server)
    answer = added(server, name="wait", arguments={"seconds": 0})
    waiting = server.call(
        "POST", "/v1/jobs", {"command": {"type": "exec", "name": "wait", "arguments": {"seconds": 0}}, "delay": 3600}
    )
    assert answer.status == waiting.status == 201
    assert server.stop() == 0
    (server.folder / "queue-server.toml").write_text(FILE.replace("commands.wait", "commands.sleep"))
    server.start()
    job_id = waiting.json["id"]
    assert server.call("POST", f"/v1/jobs/{job_id}/run").status == 200
    job = server.wait_end(job_id)
    assert (job["state"], job["error"]) == (
        "failed",
        "the settings file names no command wait any more ([commands.wait])",
    )


def test_command_finds_no_secret_of_the_server(make_server: Starter) -> None:
    server = started(make_server, QUEUE_SERVER_ADMIN_TOKEN=SECRET, DATABASE_URL=SECRET, AWS_SECRET_ACCESS_KEY=SECRET)
    job = server.run({"type": "exec", "name": "environment"})
    shown = server.output(job["id"]).decode()
    assert SECRET not in shown
    names = {line.partition("=")[0] for line in shown.splitlines()}
    allowed = {"PATH", "HOME", "USER", "LOGNAME", "TZ", "LANG", "PWD", "SHLVL", "_"}
    assert {
        name for name in names - allowed if not re.match(r"LC_|QUEUE_(JOB_ID|ATTEMPT|CLAIM|CONTEXT|RUN)$", name)
    } == set()


def test_environment_of_the_server_is_closed_to_its_own_user(make_server: Starter) -> None:
    """Root reads it all the same, so what is looked at is whom the kernel gives the file to."""
    server = started(make_server, QUEUE_SERVER_ADMIN_TOKEN=SECRET)
    assert Path(f"/proc/{server.pid}/environ").stat().st_uid == 0
    if os.geteuid() == 0:
        pytest.skip("root may read every environment; run the tests as somebody else to see it refused")
    with pytest.raises(PermissionError):
        Path(f"/proc/{server.pid}/environ").read_bytes()


@pytest.mark.parametrize(
    ("table", "code", "words"),
    [
        ('args = ["x", "{y}"]', 2, "line 3: command bad: args: there is no parameter y for {y}"),
        ('args = ["x"]\nrun_as = "no-such-user"', 2, "setting commands.bad.run_as: there is no user 'no-such-user'"),
    ],
)
def test_table_that_is_wrong_stops_the_start_with_one_line(
    make_server: Starter, table: str, code: int, words: str
) -> None:
    server = make_server()
    (server.folder / "queue-server.toml").write_text(f'exec = "named"\n\n[commands.bad]\n{table}\n')
    server.launch()
    assert server.ended() == code
    assert words in server.log
    assert server.log.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="the warning is for root")
def test_root_is_warned_at_every_start(make_server: Starter) -> None:
    server = started(make_server)
    assert "commands run as root; set exec_run_as" in server.log
    server.stop()
    assert "commands run as root; set exec_run_as" in server.start().log
    held = started(make_server, FILE.replace('exec = "named"', 'exec = "named"\nexec_run_as = "nobody"'))
    assert "commands run as root" not in held.log


@pytest.mark.long
def test_ten_gigabytes_of_output_are_cut_while_the_server_stays_small(make_server: Starter) -> None:
    server = make_server("--exec", "any", "--auth", "off").start()
    server.run({"type": "exec", "cmd": "head -c 50000000 /dev/zero"})
    before, most, begin = server.memory_kib(), 0, time.monotonic()
    job_id = server.add({"type": "exec", "cmd": "head -c 10000000000 /dev/zero; echo end", "timeout": 100})

    def has_ended() -> bool:
        nonlocal most
        most = max(most, server.memory_kib())
        return server.job(job_id)["state"] == "completed"

    until(has_ended, 110, "the end of the output")
    print(f"10 GB in {time.monotonic() - begin:.1f} s, {most - before} KiB more")
    assert most - before < 16 * MIB
    assert server.output(job_id).endswith(b"end\n")
