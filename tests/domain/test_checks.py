import pytest
from msgspec import Raw

from queue_server.domain.checks import (
    Times,
    command_codes,
    command_problems,
    escape_pointer,
    problems_of,
    retry_problems,
    tag_problems,
    time_problems,
)
from queue_server.domain.expect import EXIT_RANGE, HTTP_RANGE
from queue_server.domain.job import JobRequest
from queue_server.domain.retry import RetryWish
from tests.builders.jobs import EXEC, HTTP
from tests.builders.strategies import http, shell


def of(command) -> dict[str, str]:
    """A command's problems: message by path."""
    return {problem.path: problem.message for problem in command_problems(command, "")}


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com:8443/a/b?c=d#e",
        "HTTP://EXAMPLE.COM/",
        "http://user:secret@example.com/",
        "http://[::1]:80/",
        "http://bücher.example/ä ö",
        "http://example.com/__JOBID__?a=__CONTEXT__",
        "http://example.com:65535/",
        "http://127.0.0.1:1/",
        "http://a?b",
    ],
)
def test_url_is_accepted(url):
    assert of(http(url=url)) == {}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://example.com/", "must start with http:// or https://"),
        ("example.com", "must start with http:// or https://"),
        ("//example.com", "must start with http:// or https://"),
        ("javascript:alert(1)", "must start with http:// or https://"),
        (" http://example.com/", "must start with http:// or https://"),
        ("http://example.com/\r\nX: y", "must not contain control characters"),
        ("http://example.com/\0", "must not contain control characters"),
        ("http://example.com/\x7f", "must not contain control characters"),
        ("http:///path", "must name a host"),
        ("http://?a", "must name a host"),
        ("http://:80/", "must name a host"),
        ("http://a b/", "must name a host"),
        ("http://a\\@b/", "must name a host"),
        ("http://example.com:0/", "must name a port from 1 to 65535"),
        ("http://example.com:00/", "must name a port from 1 to 65535"),
        ("http://[::1]:0/", "must name a port from 1 to 65535"),
        ("http://example.com:65536/", "is not a URL: "),
        ("http://example.com:x/", "is not a URL: "),
        ("http://example.com:__JOBID__/", "is not a URL: "),
        ("http://[::1/", "is not a URL: "),
        ("http://[example]/", "is not a URL: "),
    ],
)
def test_url_is_refused(url, message):
    assert of(http(url=url)).pop("/url").startswith(message)


@pytest.mark.parametrize("name", ["X-Tenant", "a", "!#$%&'*+.^_`|~-9"])
@pytest.mark.parametrize("value", ["", "acme", "a\tb", "ü", "__CONTEXT__"])
def test_header_is_accepted(name, value):
    assert of(http(headers={name: value})) == {}


@pytest.mark.parametrize("name", ["", " ", "X Y", "X:", "Ü", "X\r\nY", "X\0"])
def test_header_name_is_refused(name):
    assert of(http(headers={name: ""})) == {f"/headers/{name}": "is not a header name (RFC 9110 section 5.1)"}


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "CONNECTION", "Upgrade", "trailer"])
def test_header_of_the_connection_is_refused(name):
    assert of(http(headers={name: ""})) == {f"/headers/{name}": "is set by the server and can't be given"}


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "\0", "\x1b[0m", "\x7f"])
def test_header_value_with_control_characters_is_refused(value):
    message = "must not contain line ends, NUL or other control characters"
    assert of(http(headers={"X/Y": "", "A": value}))["/headers/A"] == message


def test_header_path_is_escaped():
    assert set(of(http(headers={"a/b~c": ""}))) == {"/headers/a~1b~0c"}
    assert escape_pointer("a/b~1") == "a~1b~01"


JSON = Raw(b"{}")


@pytest.mark.parametrize(
    "members",
    [
        {"json": JSON},
        {"body": ""},
        {"body_base64": "aGk="},
        {"params": {"a": 1}},
        {"params": {"a": 1}, "method": "POST"},
        {"params": {"a": 1}, "method": "GET", "json": JSON},
        {"params": {}, "json": JSON},
    ],
)
def test_one_body_is_accepted(members):
    assert of(http(**members)) == {}


@pytest.mark.parametrize(
    ("members", "names"),
    [
        ({"json": JSON, "body": "x"}, "json, body"),
        ({"body": "x", "body_base64": ""}, "body, body_base64"),
        ({"params": {"a": 1}, "json": JSON}, "params (as a form), json"),
        ({"params": {"a": 1}, "method": "PUT", "body": ""}, "params (as a form), body"),
    ],
)
def test_second_body_is_refused(members, names):
    assert of(http(**members)) == {"": f"has more than one body: {names}; give one of them"}


@pytest.mark.parametrize("text", ["?", "a", "aGk", "aGk=\n", "ä", "aGk_"])
def test_body_that_is_no_base64_is_refused(text):
    assert of(http(body_base64=text)) == {"/body_base64": "is not base64 (RFC 4648 section 4)"}


def test_expectation_is_checked_against_the_commands_codes():
    assert of(http(expect=204)) == {}
    assert "from 100 to 599" in of(http(expect="600"))["/expect"]
    assert of(shell("true", expect="0,255")) == {}
    assert "from 0 to 255" in of(shell("true", expect=256))["/expect"]


def test_exec_command_runs_cmd_or_args_or_a_name():
    just_one = {"": "needs one of cmd (run by the shell), args (run without one) and name (of the settings)"}
    assert of(shell("true")) == of(shell(args=["true"])) == of(shell(name="a", arguments={"b": 1})) == {}
    assert of(shell()) == of(shell("true", args=["true"])) == of(shell("true", name="a")) == just_one
    assert of(shell("true", arguments={})) == {"/arguments": "belongs to a command that is given by its name"}


@pytest.mark.parametrize(
    "name",
    ["LD_PRELOAD", "LD_", "PYTHONPATH", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS", "BASH_ENV", "ENV", "IFS", "LD_\n"],
)
def test_variable_that_makes_programs_run_something_else_is_refused(name):
    message = "can't be given: it would have programs load or run what their command does not say"
    assert of(shell("true", env={name: "x"})) == {f"/env/{name}": message}
    assert of(shell("true", env={f"MY_{name}": "x", "ENVIRONMENT": "x"})) == {}


def test_nul_is_refused_wherever_a_program_would_receive_it():
    message = "must not contain NUL characters: no program can receive them"
    assert of(shell("a\0")) == {"/cmd": message}
    assert of(shell(args=["a", "b\0"])) == {"/args/1": message}
    assert of(shell("a", cwd="/\0")) == {"/cwd": message}
    assert of(shell("a", env={"A": "\0"})) == {"/env/A": message}
    assert of(shell(name="a", arguments={"b/c": "\0"})) == {"/arguments/b~1c": message}
    assert of(shell("a", stdin="\0")) == {}, "it arrives as a byte like any other"


def test_argument_is_as_long_as_linux_takes():
    assert of(shell("x" * 131_071)) == {}
    assert of(shell("é" * 65_535)) == {}
    for command, path in (
        (shell("x" * 131_072), "/cmd"),
        (shell("é" * 65_536), "/cmd"),
        (shell(args=["a", "x" * 131_072]), "/args/1"),
        (shell("a", env={"A": "x" * 131_070}), "/env/A"),
    ):
        assert of(command) == {path: "is longer than 131071 bytes, which Linux can't pass on; send it in stdin"}


def test_working_directory_is_absolute():
    assert of(shell("a", cwd="/tmp")) == {}
    assert of(shell("a", cwd="tmp")) == {"/cwd": "must be an absolute path"}


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_name_of_an_environment_variable_is_refused(name):
    assert of(shell("a", env={name: "x"}))[f"/env/{name}"]


def test_params_may_be_nested_to_a_limit():
    value: object = "x"
    for _ in range(99):
        value = [value] if len(str(value)) % 2 else {"a": value}
    assert of(http(params={"a": value})) == {}
    assert of(http(params={"a": [[value]]})) == {"/params": "must not be nested deeper than 100 levels"}


def test_time_is_given_once():
    assert list(time_problems(Times(run_at="2026-11-24T09:30:00Z"))) == []
    (problem,) = time_problems(Times(run_at="2026-11-24T09:30:00Z", delay=1))
    assert (problem.path, problem.message) == ("/run_at", "give delay or run_at, not both")


@pytest.mark.parametrize("deadline", [None, 0, 0.0, 31_622_400, "2026-11-24T09:30:00Z", "2026-11-24T09:30:00.5+01:00"])
def test_deadline_is_accepted(deadline):
    assert list(time_problems(Times(deadline=deadline))) == []


@pytest.mark.parametrize("deadline", [-0.1, 31_622_401, float("inf"), float("nan"), "", "soon", "2026-11-24"])
def test_deadline_is_refused(deadline):
    (problem,) = time_problems(Times(deadline=deadline))
    assert problem.path == "/deadline"
    assert problem.message.startswith("must be ")


def test_times_are_checked_one_by_one():
    wrong = Times(delay=1, run_at="x", ttl=1, expires_at="x", deadline="x")
    assert [problem.path for problem in time_problems(wrong)] == [
        "/run_at",
        "/run_at",
        "/expires_at",
        "/expires_at",
        "/deadline",
    ]


def test_codes_to_retry_on_are_those_that_the_command_can_end_with():
    assert command_codes(HTTP) is HTTP_RANGE
    assert command_codes(EXEC) is EXIT_RANGE
    assert list(retry_problems(RetryWish(retry_on=[100, "599"]), HTTP_RANGE)) == []
    assert list(retry_problems(RetryWish(retry_on="0,255"), EXIT_RANGE)) == []
    for wrong, codes in ((99, HTTP_RANGE), ([429, "600"], HTTP_RANGE), (256, EXIT_RANGE), ([], EXIT_RANGE)):
        (problem,) = retry_problems(RetryWish(retry_on=wrong), codes)
        assert problem.path == "/retry/retry_on"


@pytest.mark.parametrize("name", ["a", "A.b_c:d-9", "0" * 64])
@pytest.mark.parametrize("value", ["", "acme", "ä \U0001f600", "x" * 255])
def test_tag_is_accepted(name, value):
    assert list(tag_problems({name: value})) == []


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("", "x", "/tags/"),
        ("a b", "x", "/tags/a b"),
        ("ä", "x", "/tags/ä"),
        ("a/b~", "x", "/tags/a~1b~0"),
        ("a\n", "x", "/tags/a\n"),
        ("x" * 65, "x", f"/tags/{'x' * 65}"),
        ("a", "x" * 256, "/tags/a"),
        ("a", "\0", "/tags/a"),
        ("a", "\x7f", "/tags/a"),
    ],
)
def test_tag_is_refused(name, value, path):
    assert [problem.path for problem in tag_problems({"good": "x", name: value})] == [path]


def test_retry_delays_are_in_order():
    assert list(retry_problems(RetryWish(min_delay=5, max_delay=5), HTTP_RANGE)) == []
    (problem,) = retry_problems(RetryWish(min_delay=5, max_delay=4), HTTP_RANGE)
    assert (problem.path, problem.message) == ("/retry/min_delay", "must not be greater than max_delay")


def test_all_parts_of_a_request_are_checked():
    request = JobRequest(
        command=http(url="x"),
        callback_done=http(url="x"),
        callback_failed=shell(),
        delay=1,
        run_at="x",
        retry=RetryWish(min_delay=5, max_delay=4, retry_on="0"),
        expires_at="x",
        deadline=-1,
        tags={"a b": "x"},
    )
    assert [problem.path for problem in problems_of(request)] == [
        "/command/url",
        "/callback_done/url",
        "/callback_failed",
        "/run_at",
        "/run_at",
        "/expires_at",
        "/deadline",
        "/retry/min_delay",
        "/retry/retry_on",
        "/tags/a b",
    ]
    assert problems_of(JobRequest(command=HTTP, callback_done=EXEC)) == []
