"""The command line and the real server together."""

import json
import signal

from tests.cli.real_server import ADDRESS
from tests.cli.running import CommandLine


def test_a_command_is_added_run_and_looked_at(real: CommandLine) -> None:
    ran = real("add", "--wait", "--context", "shell", "--", "sh", "-c", "echo out; echo err >&2")
    assert (ran.code, ran.err) == (0, "")
    job_id = ran.out.strip()
    assert real("logs", job_id).out == "out\n"
    assert real("logs", "--stderr", job_id).out == "err\n"
    assert real("ls", "--context", "shell", "--state", "completed", "-o", "id").out == ran.out
    shown = json.loads(real("show", job_id, "-o", "json").out)
    assert (shown["exit_code"], shown["outcome"], len(shown["attempts"])) == (0, "succeeded", 1)


def test_a_request_to_the_server_itself_succeeds(real: CommandLine) -> None:
    ran = real("add", "--wait", f"{real.url}/")
    assert ran.code == 0, ran.err
    assert json.loads(real("logs", ran.out.strip()).out)["status"] == "running"
    assert real("logs", "--head", ran.out.strip()).out.startswith("HTTP/1.1 200")


def test_a_failed_job_is_explained(real: CommandLine) -> None:
    ran = real("add", "--wait", "--", "sh", "-c", "exit 3")
    assert ran.code == 10
    assert f"job {ran.out.strip()} failed: exit code 3" in ran.err
    facts = dict(line.split("\t") for line in real("show", ran.out.strip()).out.split("\n\n")[0].splitlines())
    assert (facts["state"], facts["result"]) == ("failed", "3")
    assert facts["reason"]


def test_a_scheduled_job_makes_wait_give_up(real: CommandLine) -> None:
    job_id = real("add", "--delay", "1h", "http://127.0.0.1:9/").out.strip()
    ran = real("wait", job_id, "--timeout", "50ms")
    assert (ran.code, ran.err) == (7, f"error: job {job_id} is still scheduled after 50ms\n")


def test_mistakes_are_told_by_their_place(real: CommandLine) -> None:
    ran = real("add", "http://", "--header", "a b: c")
    assert ran.code == 1
    assert "/command/url: must name a host" in ran.err
    assert "/command/headers/a b: " in ran.err


def test_all_pages_are_listed_once_each(real: CommandLine) -> None:
    line = b'{"command":{"type":"http","url":"http://127.0.0.1:9/"},"delay":9999,"context":"pages"}\n'
    added = real("add", "-", stdin=line * 450).out.split()
    listed = real("ls", "--all", "--context", "pages", "-o", "id").out.split()
    assert listed == sorted(added, key=int, reverse=True)
    assert len(real("ls", "--context", "pages", "-o", "id").out.split()) == 50


def test_stats_count_every_state(real: CommandLine) -> None:
    told = dict(line.split("\t") for line in real("stats").out.splitlines())
    assert {"scheduled", "available", "running", "completed", "failed", "cancelled"} <= set(told)
    assert told["slots"].endswith("of 100 free")


def test_migrate_tells_what_it_applied_and_then_nothing(alone: CommandLine) -> None:
    first = alone("migrate", "--db", "sqlite:///new.db")
    assert first.code == 0, first.err
    assert first.out
    again = alone("migrate", "--db", "sqlite:///new.db")
    assert (again.code, again.out, again.err) == (0, "", "the schema is up to date\n")


def test_a_database_that_can_not_be_used_ends_serve_with_one_line(alone: CommandLine) -> None:
    ran = alone("serve", "--port", "0", "--db", "sqlite:////no/such/folder/x.db")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in ran.err


def test_ctrl_c_stops_the_server(alone: CommandLine) -> None:
    process = alone.start("serve", "--port", "0")
    assert process.stderr
    assert any(ADDRESS.search(line) for line in iter(process.stderr.readline, b""))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert b"Traceback" not in err
