"""Running a command: what it gets, and what is said of its end."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_server.domain.command import Unreadable
from queue_server.domain.job import Plan, Report
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.state import State
from queue_server.executors.programs import CommandRules
from tests.executors.builders import callback_job, exec_job, executor, outcome_of

LOOPS = pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@LOOPS
def test_run_succeeds_with_both_outputs_apart(run_loop: Any) -> None:
    async def scenario() -> None:
        async with executor() as started:
            outcome = await started.run(exec_job("echo out; echo err >&2"))
            assert (outcome.kind, outcome.exit_code, outcome.error) == (OutcomeKind.SUCCEEDED, 0, None)
            assert (outcome.output.text, outcome.output.error_text) == (b"out\n", b"err\n")
            assert (outcome.output.size, outcome.output.error_size) == (4, 4)

    run_loop(scenario())


@pytest.mark.parametrize(
    ("cmd", "error"),
    [
        ("exit 3", "exit code 3"),
        ("echo out; echo 'no space left' >&2; echo >&2; exit 3", "exit code 3: no space left"),
        ("echo only; echo stdout; exit 3", "exit code 3: stdout"),
        (r"printf 'a\000\033[31mb\377'; exit 3", "exit code 3: a  [31mb�"),
    ],
)
def test_run_fails_with_the_last_line_that_the_command_wrote(cmd: str, error: str) -> None:
    outcome = outcome_of(cmd)
    assert (outcome.kind, outcome.exit_code, outcome.error) == (OutcomeKind.FAILED, 3, error)


def test_run_cuts_a_long_last_line() -> None:
    outcome = outcome_of("head -c 100000 /dev/zero | tr '\\0' x; exit 1")
    assert outcome.error == "exit code 1: " + "x" * 199 + "…"


@pytest.mark.parametrize(
    ("expect", "code", "kind"),
    [
        (None, 0, OutcomeKind.SUCCEEDED),
        ("0-2,9", 9, OutcomeKind.SUCCEEDED),
        (4, 4, OutcomeKind.SUCCEEDED),
        ("1-2", 0, OutcomeKind.FAILED),
        ("143", 143, OutcomeKind.SUCCEEDED),
    ],
)
def test_expect_says_which_exit_codes_are_success(expect: str | int | None, code: int, kind: OutcomeKind) -> None:
    outcome = outcome_of(f"exit {code}", expect=expect)
    assert (outcome.kind, outcome.exit_code) == (kind, code)


def test_run_names_the_signal_that_killed_the_command() -> None:
    outcome = outcome_of("kill -KILL $$")
    assert outcome.kind is OutcomeKind.FAILED
    assert (outcome.exit_code, outcome.signal, outcome.error) == (137, "SIGKILL", "killed by SIGKILL")


def test_run_names_a_real_time_signal_by_its_number() -> None:
    assert outcome_of("kill -40 $$").error == "killed by signal 40"


def test_killed_command_succeeds_when_its_code_is_expected() -> None:
    outcome = outcome_of("kill -TERM $$", expect=143)
    assert (outcome.kind, outcome.signal) == (OutcomeKind.SUCCEEDED, "SIGTERM")


def test_invalid_utf8_comes_back_untouched() -> None:
    assert outcome_of(r"printf '\377\376\000\n'").output.text == b"\xff\xfe\x00\n"


def test_cwd_is_the_commands_or_else_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert outcome_of("pwd").output.text == os.fsencode(tmp_path) + b"\n"
    assert outcome_of("pwd", cwd="/usr").output.text == b"/usr\n"


def test_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("TZ", "Europe/Zurich")
    monkeypatch.setenv("HOME", "/home/michael")
    for name in ("USER", "LOGNAME", "SHELL"):
        monkeypatch.delenv(name, raising=False)
    outcome = outcome_of(args=["env"], env={"MINE": "ä=1", "LANG": "C"})
    variables = dict(line.split("=", 1) for line in outcome.output.text.decode().splitlines())
    assert variables.pop("QUEUE_RUN")
    assert variables == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/home/michael",
        "TZ": "Europe/Zurich",
        "LANG": "C",
        "MINE": "ä=1",
        "QUEUE_JOB_ID": "7",
        "QUEUE_ATTEMPT": "2",
        "QUEUE_CLAIM": "3",
        "QUEUE_CONTEXT": "default",
    }


def test_environment_has_the_servers_variables_that_are_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    outcome = outcome_of("echo $APP_ENV", settings={"rules": CommandRules(inherit=("APP_ENV", "NOT_SET"))})
    assert outcome.output.text == b"production\n"


def test_program_is_found_on_the_path_of_its_environment(tmp_path: Path) -> None:
    program = tmp_path / "ours"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    assert outcome_of(args=["ours"], env={"PATH": f"/nowhere:{tmp_path}"}).output.text == b"found\n"


def test_program_gets_no_descriptor_and_ignores_no_signal() -> None:
    script = (
        "import os, signal; print(os.listdir('/proc/self/fd'));"
        "print([n for n in signal.valid_signals() if n not in (2, 13, 25)"
        " and signal.getsignal(n) == signal.SIG_IGN], signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    outcome = outcome_of(args=[sys.executable, "-I", "-S", "-c", script])
    assert outcome.output.text == b"['0', '1', '2', '3']\n[] set()\n"  # 3 is the open folder itself


def test_program_leads_a_session_of_its_own() -> None:
    outcome = outcome_of("cut -d ' ' -f 1,5,6 /proc/$$/stat")
    assert len(set(outcome.output.text.split())) == 1


@LOOPS
def test_stdin_of_ten_megabytes_arrives(run_loop: Any) -> None:
    async def scenario() -> None:
        async with executor() as started:
            outcome = await started.run(exec_job(args=["wc", "-c"], stdin="x" * 10_000_000))
            assert outcome.output.text == b"10000000\n"

    run_loop(scenario())


def test_stdin_and_both_outputs_flow_at_once() -> None:
    outcome = outcome_of("tee /dev/stderr", stdin="0123456789" * 100_000)
    assert (outcome.output.size, outcome.output.error_size) == (1_000_000, 1_000_000)


def test_stdin_is_empty_when_there_is_none() -> None:
    assert outcome_of("cat; echo end").output.text == b"end\n"


@LOOPS
def test_stdin_that_is_not_read_is_no_error(run_loop: Any) -> None:
    async def scenario() -> None:
        async with executor() as started:
            job = exec_job("exec <&-; echo closed; cat /dev/null", stdin="x" * 10_000_000)
            outcome = await started.run(job)
            assert (outcome.kind, outcome.output.text) == (OutcomeKind.SUCCEEDED, b"closed\n")

    run_loop(scenario())


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ({"args": ["no-such-program"]}, "no such program: no-such-program"),
        ({"args": ["/no/such/program"]}, "no such program: /no/such/program"),
        ({"args": ["/etc/passwd/x"]}, "no such program: /etc/passwd/x"),
        ({"args": [""]}, "no such program: its name is empty"),
        ({"args": ["/etc/passwd"]}, "permission denied: /etc/passwd"),
        ({"args": ["/tmp"]}, "permission denied: /tmp"),
        ({"args": ["true", "x" * 200_000]}, "argument list too long: true"),
        ({"args": ["true", "a\0b"]}, "can't be given to a program: embedded null byte"),
        ({"args": ["true"], "cwd": "/no/such"}, "cwd /no/such does not exist"),
        ({"args": ["true"], "cwd": "/etc/passwd"}, "cwd /etc/passwd is not a directory"),
        ({"args": ["true"], "cwd": "/" + "x" * 300}, "file name too long: cwd /" + "x" * 300),
    ],
)
def test_command_that_cannot_be_started_fails_and_says_why(command: dict[str, Any], error: str) -> None:
    outcome = outcome_of(**command)
    assert (outcome.kind, outcome.exit_code, outcome.error) == (OutcomeKind.FAILED, None, error)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("#!/no/such/interpreter\n", "no such program: the interpreter that {} names"),
        ("no program\n", "not a program: {} is of no known format and has no #! line"),
    ],
)
def test_file_that_is_no_program_fails_and_says_why(tmp_path: Path, content: str, error: str) -> None:
    program = tmp_path / "program"
    program.write_text(content)
    program.chmod(0o755)
    assert outcome_of(args=[str(program)]).error == error.format(program)


def test_unreadable_command_fails() -> None:
    async def scenario() -> None:
        async with executor() as started:
            job = exec_job(job={"plan": Plan(command=Unreadable(reason="written by a later version"))})
            assert (await started.run(job)).kind is OutcomeKind.FAILED

    asyncio.run(scenario())


@pytest.mark.parametrize("context", ["it's", '"two words"', "$(touch /tmp/x) `id` ; & | \\", "-n", "*", "ä\u2028"])
def test_placeholder_in_cmd_is_one_word_whatever_is_in_it(context: str) -> None:
    async def scenario() -> bytes:
        async with executor() as started:
            job = exec_job("printf '%s|' __CONTEXT__ __JOBID__ __ATTEMPT__", job={"context": context})
            return (await started.run(job)).output.text

    assert asyncio.run(scenario()) == f"{context}|7|2|".encode()


def test_placeholders_of_a_callback_are_those_of_the_job_it_reports() -> None:
    async def scenario() -> bytes:
        async with executor() as started:
            report = Report(job_id=99, state=State.FAILED, exit_code=3, attempts=4, context="App", error="exit code 3")
            job = callback_job("echo __JOBID__ __STATE__ __EXITCODE__ $QUEUE_JOB_ID", report)
            return (await started.run(job)).output.text

    assert asyncio.run(scenario()) == b"99 failed 3 7\n"


def test_arguments_arrive_byte_for_byte() -> None:
    texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
    plain = texts.filter(lambda text: "__" not in text)
    with asyncio.Runner() as runner:
        context = executor()
        started = runner.run(context.__aenter__())

        @settings(max_examples=100, deadline=None)
        @given(st.lists(plain, min_size=1, max_size=20), plain)
        def arguments_arrive(arguments: list[str], variable: str) -> None:
            job = exec_job(
                args=["sh", "-c", 'printf "%s\\0" "$VARIABLE" "$@"', "sh", *arguments],
                env={"VARIABLE": variable},
            )
            outcome = runner.run(started.run(job))
            assert outcome.output.text == b"".join(text.encode() + b"\0" for text in [variable, *arguments])

        try:
            arguments_arrive()
        finally:
            runner.run(context.__aexit__(None, None, None))


def test_two_megabytes_of_arguments_arrive() -> None:
    outcome = outcome_of(args=["sh", "-c", 'printf "%s" "$@" | wc -c', "sh", *["x" * 100_000] * 19])
    assert outcome.output.text == b"1900000\n"


@LOOPS
def test_fifty_runs_in_parallel_keep_to_themselves(run_loop: Any) -> None:
    async def scenario() -> None:
        async with executor() as started:
            jobs = [exec_job("cat; exit __JOBID__", stdin=f"input {n}", job={"id": n}) for n in range(50)]
            outcomes = await asyncio.gather(*map(started.run, jobs))
            assert [outcome.exit_code for outcome in outcomes] == list(range(50))
            assert [outcome.output.text for outcome in outcomes] == [b"input %d" % n for n in range(50)]

    run_loop(scenario())
