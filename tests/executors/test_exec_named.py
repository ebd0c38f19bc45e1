"""Named commands run: what they get of a job's arguments, byte for byte, and what stops them when they run."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queue_server.domain.named import (
    FlagParameter,
    IntegerParameter,
    NamedCommand,
    NumberParameter,
    PathParameter,
    TextParameter,
)
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.executors.programs import CommandRules
from tests.executors.builders import exec_job, executor
from tests.executors.guarded import PYTHON

ECHO = "import sys; print([a.encode().hex() for a in sys.argv[1:]]); print(sys.stdin.buffer.read().hex())"
"""Under PYTHONUTF8 a program's argv is its bytes as UTF-8, which hex shows."""

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60).filter(
    lambda text: "__" not in text
)


def echo(*args: str) -> list[str]:
    return [PYTHON, "-I", "-X", "utf8", "-c", ECHO, *args]


def echoed(outcome: Outcome) -> tuple[list[str], str]:
    assert outcome.kind is OutcomeKind.SUCCEEDED, outcome
    first, second = outcome.output.text.decode().splitlines()
    return [bytes.fromhex(text).decode() for text in json.loads(first.replace("'", '"'))], bytes.fromhex(
        second
    ).decode()


def run_named(
    named: NamedCommand, arguments: dict[str, Any] | None = None, *, only_named: bool = True, **more: Any
) -> Outcome:
    job = more.pop("job", None)

    async def scenario() -> Outcome:
        rules = CommandRules(commands={"it": named}, is_only_named=only_named)
        async with executor(rules=rules) as started:
            return await started.run(exec_job(**({"name": "it", "arguments": arguments} | more), job=job))

    return asyncio.run(scenario())


def test_arguments_and_stdin_arrive_byte_for_byte() -> None:
    both = NamedCommand(
        args=echo("{one}", "a={two}=b", "{{}}"),
        parameters={"one": TextParameter(dash=True, max_length=100_000), "two": TextParameter(dash=True)},
        stdin=True,
    )
    with asyncio.Runner() as runner:
        context = executor(rules=CommandRules(commands={"it": both}))
        started = runner.run(context.__aenter__())

        @settings(max_examples=60, deadline=None)
        @given(TEXTS, TEXTS, TEXTS)
        @example("", "", "")
        @example("-", "--", "-")
        @example("x" * 100_000, "ä€😀", "y" * 100_000)
        @example("'\"`$(id)\\;|&\n\r\t *?{}", "{one}{two}", "\ufffe\U0010ffff")
        def arrive(one: str, two: str, stdin: str) -> None:
            named = runner.run(started.run(exec_job(name="it", arguments={"one": one, "two": two}, stdin=stdin)))
            assert echoed(named) == ([one, f"a={two}=b", "{}"], stdin)
            plain = runner.run(started.run(exec_job(args=echo(one, two), stdin=stdin)))
            assert echoed(plain) == ([one, two], stdin)

        try:
            arrive()
        finally:
            runner.run(context.__aexit__(None, None, None))


def test_each_type_becomes_its_text_and_a_flag_that_is_not_set_no_argument() -> None:
    named = NamedCommand(
        args=echo("{number}", "{count}", "{loud}", "{quiet}", "{text}"),
        parameters={
            "number": NumberParameter(),
            "count": IntegerParameter(default=3),
            "loud": FlagParameter(value="--loud"),
            "quiet": FlagParameter(value="--quiet", default=True),
            "text": TextParameter(default="two words"),
        },
    )
    assert echoed(run_named(named, {"number": 1.5, "loud": False}))[0] == ["1.5", "3", "--quiet", "two words"]
    assert echoed(run_named(named, {"number": 2, "loud": True, "quiet": False, "text": ""}))[0] == [
        "2",
        "3",
        "--loud",
        "",
    ]


def test_placeholders_in_arguments_are_filled_and_the_result_checked_again() -> None:
    parameters = {"id": IntegerParameter(), "who": TextParameter(pattern="[a-z/-]*")}
    named = NamedCommand(args=echo("{id}", "who:{who}"), parameters=parameters)
    arguments = {"id": "__JOBID__", "who": "__CONTEXT__"}
    assert echoed(run_named(named, arguments, job={"context": "app"}))[0] == ["7", "who:app"]
    for context, problem in (
        ("-rf", "arguments who must not begin with a minus sign: a program could take it for an option"),
        ("A1", "arguments who does not match the pattern [a-z/-]*"),
    ):
        outcome = run_named(named, arguments, job={"context": context})
        assert (outcome.kind, outcome.error) == (OutcomeKind.FAILED, problem)


def test_placeholder_can_not_lead_a_path_out_of_its_folder(tmp_path: Path) -> None:
    named = NamedCommand(args=echo("{file}"), parameters={"file": PathParameter(within=str(tmp_path))})
    outcome = run_named(named, {"file": f"{tmp_path}/__CONTEXT__"}, job={"context": "../../etc/passwd"})
    assert outcome.error == "arguments file must be a normalised path, without .., . and repeated or closing slashes"


@pytest.mark.parametrize("link", ["file", "folder", "within"])
def test_path_that_leaves_its_folder_by_a_link_is_refused(tmp_path: Path, link: str) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "real").write_text("inside")
    (folder / "file").symlink_to("/etc/passwd")
    (folder / "folder").symlink_to("/etc")
    (tmp_path / "within").symlink_to(folder)
    named = NamedCommand(args=["cat", "{file}"], parameters={"file": PathParameter(within=str(folder))})
    if link == "within":
        named = NamedCommand(args=["cat", "{file}"], parameters={"file": PathParameter(within=str(tmp_path / link))})
        assert run_named(named, {"file": f"{tmp_path}/within/real"}).output.text == b"inside"
        return
    path = f"{folder}/file" if link == "file" else f"{folder}/folder/passwd"
    outcome = run_named(named, {"file": path})
    assert outcome.error == f"argument file: {path} leads out of {folder}"
    assert run_named(named, {"file": f"{folder}/real"}).output.text == b"inside"


def test_table_gives_environment_folder_and_timeout(tmp_path: Path) -> None:
    named = NamedCommand(args=["sh", "-c", "pwd; echo $A $B"], cwd=str(tmp_path), env={"A": "table"}, job_env=["B"])
    outcome = run_named(named, env={"B": "job"})
    assert outcome.output.text == os.fsencode(tmp_path) + b"\ntable job\n"
    slow = NamedCommand(args=["sleep", "100"], timeout=0.2)
    assert (run_named(slow).error or "").startswith("timed out after 0.2 s")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ({"name": "gone"}, "the settings file names no command gone any more ([commands.gone])"),
        ({"name": None, "cmd": "id"}, "this server runs only the commands that its settings file names"),
        ({"name": None, "args": ["id"]}, "this server runs only the commands that its settings file names"),
        ({"cwd": "/"}, "cwd the table of it does not let jobs give it (member job_cwd)"),
        ({"arguments": {"no": 1}}, "arguments no is not a parameter of it; known are: none"),
    ],
)
def test_job_that_waited_for_what_is_no_longer_allowed_fails_and_says_why(command: dict[str, Any], error: str) -> None:
    outcome = run_named(NamedCommand(args=["true"]), **command)
    assert outcome.kind is OutcomeKind.FAILED
    assert (outcome.error or "").startswith(error)


def test_other_commands_run_beside_named_ones_where_any_may() -> None:
    outcome = run_named(NamedCommand(args=["false"]), name=None, args=["true"], only_named=False)
    assert outcome.kind is OutcomeKind.SUCCEEDED
