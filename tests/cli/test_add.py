from pathlib import Path

import pytest

from queue_server.cli.main import main
from tests.cli.running import CommandLine
from tests.cli.stub_server import Answer, Stub, job, of, problem

URL = "https://example.com/mails"


@pytest.fixture(autouse=True)
def added(stub: Stub) -> None:
    stub.tell("POST /v1/jobs", of(job(7, "available"), 201))


def test_a_url_becomes_a_job_and_its_id_is_printed(qs: CommandLine, stub: Stub) -> None:
    ran = qs("add", URL)
    assert (ran.code, ran.out, ran.err) == (0, "7\n", "")
    assert stub.asked[0].json == {"command": {"type": "http", "url": URL}}
    assert stub.asked[0].headers["content-type"] == "application/json"


def test_the_options_of_a_url_become_members(qs: CommandLine, stub: Stub) -> None:
    ran = qs(
        *("add", URL, "--method", "put", "--param", "a=1", "--param", "b=x=y", "--param", "a=2"),
        *(
            "--header",
            "X-Tenant:  acme: 5",
            "--json",
            '{"big": 12345678901234567890123}',
            "--timeout",
            "1.5m",
        ),
        *("--priority", "800", "--context", "MyApp", "--delay", "500ms", "--run-at", "2026-11-24T09:30:00Z"),
        *("--max-attempts", "5", "--callback-done", "http://x/done", "--callback-failed", "http://x/failed"),
    )
    assert ran.code == 0, ran.err
    assert stub.asked[0].json == {
        "command": {
            "type": "http",
            "url": URL,
            "method": "PUT",
            "params": {"a": ["1", "2"], "b": "x=y"},
            "headers": {"X-Tenant": "acme: 5"},
            "json": {"big": 12345678901234567890123},
            "timeout": 90.0,
        },
        "priority": 800,
        "context": "MyApp",
        "delay": 0.5,
        "run_at": "2026-11-24T09:30:00Z",
        "retry": {"max_attempts": 5},
        "callback_done": {"type": "http", "url": "http://x/done"},
        "callback_failed": {"type": "http", "url": "http://x/failed"},
    }


def test_the_options_of_the_job_itself_become_members(qs: CommandLine, stub: Stub) -> None:
    ran = qs(
        *("add", URL, "--queue", "mails", "--key", "acme", "--tag", "app=shop", "--tag", "x=a=b", "--ttl", "1h"),
        *("--expires-at", "2026-11-24T09:30:00Z", "--deadline", "2h", "--retention", "7d"),
        *("--max-attempts", "3", "--retry-on", "429,500-599", "--max-duration", "1d", "--idempotency-key", "order 7"),
    )
    assert ran.code == 0, ran.err
    assert stub.asked[0].json == {
        "command": {"type": "http", "url": URL},
        "queue": "mails",
        "key": "acme",
        "tags": {"app": "shop", "x": "a=b"},
        "ttl": 3600,
        "expires_at": "2026-11-24T09:30:00Z",
        "deadline": 7200,
        "retention": 604_800,
        "retry": {"max_attempts": 3, "retry_on": "429,500-599", "max_duration": 86_400},
    }
    assert stub.asked[0].headers["idempotency-key"] == "order 7"


def test_a_deadline_may_be_a_time(qs: CommandLine, stub: Stub) -> None:
    qs("add", URL, "--deadline", "2026-11-24T09:30:00Z")
    assert stub.asked[0].json["deadline"] == "2026-11-24T09:30:00Z"


def test_a_command_has_a_folder_and_variables(qs: CommandLine, stub: Stub) -> None:
    assert qs("add", "--cwd", "/srv", "--env", "A=1", "--env", "B=", "--", "ls").code == 0
    command = {"type": "exec", "args": ["ls"], "cwd": "/srv", "env": {"A": "1", "B": ""}}
    assert stub.asked[0].json == {"command": command}


def test_a_named_command_has_arguments_that_are_texts_or_json(qs: CommandLine, stub: Stub) -> None:
    ran = qs("add", "--named", "thumbnail", "--argument", "size=100x100", "--argument", "n:=1.5", "--argument", "e=a=b")
    assert ran.code == 0, ran.err
    arguments = {"size": "100x100", "n": 1.5, "e": "a=b"}
    assert stub.asked[0].json == {"command": {"type": "exec", "name": "thumbnail", "arguments": arguments}}


def test_a_connection_that_breaks_makes_no_second_job(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", Answer(201, b"", breaks=True), of(job(7, "available"), 201))
    assert qs("add", URL).out == "7\n"
    first, second = stub.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_a_json_null_and_an_empty_body_are_sent(qs: CommandLine, stub: Stub) -> None:
    qs("add", URL, "--json", "null")
    qs("add", URL, "--body", "")
    assert stub.asked[0].json["command"]["json"] is None
    assert stub.asked[1].json["command"]["body"] == ""


def test_what_follows_two_dashes_is_a_command_with_its_own_options(qs: CommandLine, stub: Stub) -> None:
    ran = qs("add", "--priority", "1", "--", "ls", "-l", "--help", "--", "a b", "-")
    assert (ran.code, ran.out) == (0, "7\n")
    args = ["ls", "-l", "--help", "--", "a b", "-"]
    assert stub.asked[0].json == {"command": {"type": "exec", "args": args}, "priority": 1}


def test_a_file_is_sent_as_it_is(qs: CommandLine, stub: Stub) -> None:
    text = '{"command": {"type": "exec", "cmd": "true"}, "context": "ä"}'
    Path(qs.folder, "job.json").write_text(text)
    assert qs("add", "@job.json").out == "7\n"
    assert stub.asked[0].body.decode() == text


def test_a_file_that_is_missing_is_named(qs: CommandLine) -> None:
    ran = qs("add", "@none.json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: can't read none.json: No such file or directory\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Give a URL, -- and a command, --named, @FILE, or - for stdin."),
        (("--",), "Give a URL, -- and a command, --named, @FILE, or - for stdin."),
        (("example.com",), "add -- COMMAND"),
        (("echo", "hi"), "add -- COMMAND"),
        ((URL, "b"), "Give one URL at a time"),
        ((URL, "--", "ls"), "Give a URL or a command after --, not both."),
        (("--method", "GET", "--", "ls"), "--method belongs to a URL"),
        (("--param", "a=1", "--", "ls"), "--param belongs to a URL"),
        (("--cwd", "/", URL), "--cwd belongs to a command"),
        (("--argument", "a=1", URL), "--argument belongs to a command"),
        (("--argument", "a=1", "--", "ls"), "--argument belongs to a command of the server's settings file"),
        (("--named", "x", "--body", "a"), "--body belongs to a URL"),
        (("--named", "x", URL), "--named can't be combined"),
        (("--named", "x", "--argument", "a"), "must be NAME=VALUE"),
        (("--named", "x", "--argument", "a:=nope"), "--argument is not JSON"),
        (("--env", "a=1", URL), "--env belongs to a command"),
        (("--tag", "a", URL), "'a' must be NAME=VALUE"),
        (("-", "--idempotency-key", "x"), "--idempotency-key can't be combined with -"),
        (("@x", "--priority", "5"), "--priority can't be combined with @FILE"),
        (("-", "--context", "x"), "--context can't be combined with -"),
        (("-", "--wait"), "--wait can't be combined with -"),
        ((URL, "--json", "{"), "--json is not JSON"),
        ((URL, "--param", "a"), "--param 'a' must be NAME=VALUE"),
        ((URL, "--header", "a"), "--header 'a' must be 'Name: value'"),
        ((URL, "--delay", "soon"), "'soon' is not a duration such as"),
        ((URL, "--priority", "1001"), "1001"),
        ((URL, "--prioriti", "1"), "--priority"),
        ((URL, "--server", "localhost:1337"), "must start with http://"),
        ((URL, "--server", "http://a b"), "is no address of a server"),
        ((URL, "--idempotency-key", "ä"), "must be visible ASCII"),
    ],
)
def test_a_wrong_call_is_a_usage_error(
    stub: Stub, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    code = main(["add", "--server", stub.url, *arguments])
    out, err = capsys.readouterr()
    assert (code, out, stub.asked) == (2, "", [])
    assert told in err


def test_several_mistakes_are_told_one_a_line(qs: CommandLine, stub: Stub) -> None:
    errors = [
        {"pointer": "/command/url", "detail": "must name a host"},
        {"pointer": "/priority", "detail": "must be a whole number from 0 to 1000"},
    ]
    stub.tell("POST /v1/jobs", problem(400, "Invalid request: /command/url must name a host (and 1 more)", errors))
    ran = qs("add", URL)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "error: 2 errors\n  /command/url: must name a host\n  /priority: must be a whole number from 0 to 1000\n"
    )


def test_a_single_mistake_takes_one_line(qs: CommandLine, stub: Stub) -> None:
    errors = [{"pointer": "/command", "detail": "commands are off"}]
    stub.tell("POST /v1/jobs", problem(403, "commands are off", errors))
    ran = qs("add", "--", "ls")
    assert (ran.code, ran.err) == (4, "error: /command: commands are off\n")


def test_a_busy_server_is_told_with_its_wish(qs: CommandLine, stub: Stub) -> None:
    stub.tell("POST /v1/jobs", problem(503, "the queue is full", **{"Retry-After": "5"}))
    ran = qs("add", URL)
    assert (ran.code, ran.err) == (1, "error: the queue is full (try again in 5 s)\n")


def test_wait_prints_the_id_and_fails_with_the_job(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "running")), of(job(7, "failed")))
    ran = qs("add", URL, "--wait")
    assert (ran.code, ran.out) == (10, "7\n")
    assert ran.err == "error: job 7 failed: HTTP status 500, and no attempt is left\n"


def test_wait_with_json_prints_the_job_as_it_ended(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7, "completed")))
    ran = qs("add", URL, "--wait", "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    assert '"state": "completed"' in ran.out
    assert ran.out.startswith("{\n")
