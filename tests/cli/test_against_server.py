"""The command line and the real server together."""

import json
import signal

from tests.cli.real_server import ADDRESS
from tests.cli.running import CommandLine
from tests.support.target import Target
from tests.support.waiting import until


def test_a_command_is_added_run_and_looked_at(real: CommandLine) -> None:
    ran = real("add", "--wait", "--context", "shell", "--", "sh", "-c", "echo out; echo err >&2")
    assert (ran.code, ran.err) == (0, "")
    job_id = ran.out.strip()
    assert real("logs", job_id).out == "out\n"
    assert real("logs", "--stderr", job_id).out == "err\n"
    assert real("ls", "--context", "shell", "--state", "completed", "-o", "id").out == ran.out
    shown = json.loads(real("show", job_id, "-o", "json").out)
    assert (shown["exit_code"], shown["outcome"], len(shown["attempts"])) == (0, "succeeded", 1)


def test_a_request_succeeds_and_shows_what_was_answered(real: CommandLine, target: Target) -> None:
    ran = real("add", "--wait", f"{target.url}/")
    assert ran.code == 0, ran.err
    assert real("logs", ran.out.strip()).out.strip() == "ok"
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


def test_a_job_is_labelled_changed_explained_and_run(real: CommandLine) -> None:
    job_id = real("add", "--delay", "1h", "--queue", "mails", "--key", "k", "--tag", "a=b", "--", "true").out.strip()
    assert real("ls", "--queue", "mails", "--key", "k", "--tag", "a=b", "-o", "id").out.strip() == job_id
    assert real("edit", job_id, "--priority", "900", "--set", '{"key": null}').code == 0
    shown = json.loads(real("show", job_id, "-o", "json").out)
    assert (shown["priority"], shown["key"], shown["tags"]) == (900, None, {"a": "b"})
    assert real("explain", job_id).out.strip()
    assert json.loads(real("explain", job_id, "-o", "json").out)["facts"]
    assert real("run", job_id).code == 0
    assert real("wait", job_id).code == 0
    assert real("edit", job_id, "--priority", "1").code == 1


def test_a_running_command_is_cancelled_retried_and_deleted(real: CommandLine) -> None:
    job_id = real("add", "--", "sh", "-c", 'echo $QUEUE_ATTEMPT; [ "$QUEUE_ATTEMPT" = 2 ] || sleep 60').out.strip()
    until(lambda: real("logs", job_id).out == "1\n")
    assert real("delete", job_id).code == 1
    cancelled = real("cancel", job_id, "--reason", "not now", "--wait", "20s")
    assert (cancelled.code, cancelled.out.split("\t")[1]) == (0, "cancelled")
    assert "not now" in real("show", job_id).out
    assert real("retry", job_id, "--set", '{"context": "again"}').code == 0
    assert real("wait", job_id, "-o", "ndjson").code == 0
    assert real("ls", "--context", "again", "-o", "id").out.strip() == job_id
    assert real("delete", job_id).code == 0
    assert real("show", job_id).code == 3


def test_logs_are_followed_while_they_are_written(real: CommandLine) -> None:
    goes_on = real.folder / "goes on"
    script = f"""echo "attempt $QUEUE_ATTEMPT"
        while [ ! -e "{goes_on}" ]; do sleep 0.02; done
        echo end; [ "$QUEUE_ATTEMPT" = 2 ]"""
    job = {"command": {"type": "exec", "cmd": script}, "retry": {"max_attempts": 2, "min_delay": 0.1}}
    job_id = real("add", "-", stdin=json.dumps(job).encode()).out.strip()
    process = real.start("logs", "-f", job_id)
    assert process.stdout
    assert process.stdout.readline() == b"attempt 1\n"
    goes_on.touch()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, b"end\nattempt 2\nend\n", b"")
    assert real("logs", job_id, "--tail", "4").out == "end\n"
    assert real("logs", job_id, "--attempt", "1").out == "attempt 1\nend\n"


def test_many_jobs_are_changed_by_filters(real: CommandLine) -> None:
    line = b'{"command":{"type":"http","url":"http://127.0.0.1:9/"},"delay":9999,"context":"many"}\n'
    assert real("add", "-", stdin=line * 60).code == 0
    assert real("cancel", "--context", "many", "--dry-run").out == "matched\t60\n"
    asked = real.on_terminal("cancel", "--context", "many", "--reason", "x", typed={"[y/N]": b"y\n"})
    assert (asked.code, "cancel 60 jobs?" in asked.out) == (0, True)
    assert len(real("ls", "--context", "many", "--state", "cancelled", "--all", "-o", "id").out.split()) == 60
    retried = real("retry", "--context", "many", "--set", '{"priority": 3, "delay": 9999}', "--yes", "-o", "json")
    operation = json.loads(retried.out)
    assert (operation["state"], operation["done"]) == ("completed", 60)
    assert str(operation["id"]) in real("operations", "ls", "-o", "id").out.split()
    assert real("run", "--context", "many", "--dry-run").out == "matched\t60\n"
    deleted = dict(row.split("\t") for row in real("delete", "--context", "many", "--yes").out.splitlines())
    assert (deleted["done"], deleted["skipped"]) == ("0", "60")


def test_the_events_of_a_job_end_with_it(real: CommandLine) -> None:
    job_id = real("add", "--delay", "1h", "--", "true").out.strip()
    process = real.start("events", job_id)
    assert process.stdout
    assert process.stdout.readline().split(b"\t")[1] == b"job"
    assert real("run", job_id).code == 0
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert out.splitlines()[-1].split(b"\t")[1:4] == [b"completed", job_id.encode(), b"completed"]


def test_top_shows_what_runs_and_what_failed(real: CommandLine) -> None:
    failed = real("add", "--wait", "--", "sh", "-c", "exit 3").out.strip()
    running = real("add", "--", "sh", "-c", "echo on; sleep 60").out.strip()
    until(lambda: real("logs", running).out == "on\n")
    facts, jobs, failures = real("top").out.split("\n\n")
    assert "slots\t" in facts
    assert running in [row.split("\t")[0] for row in jobs.splitlines()]
    assert failures.splitlines()[0].split("\t")[0] == failed
    shown = real.on_terminal("top", "--interval", "100ms", typed={"ended 0.0/s": b"q"})
    assert (shown.code, "sleep 60" in shown.out) == (0, True)
    assert real("cancel", running, "--wait", "20").code == 0


def test_the_description_of_the_api_is_printed(real: CommandLine) -> None:
    assert json.loads(real("openapi").out)["openapi"].startswith("3.1")


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
