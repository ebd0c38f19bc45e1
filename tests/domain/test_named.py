"""What a table may say, and what of a job's call is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_server.domain.command import ExecCommand
from queue_server.domain.named import (
    ChoiceParameter,
    FlagParameter,
    IntegerParameter,
    NamedCommand,
    NumberParameter,
    Parameter,
    PathParameter,
    TextParameter,
    call_problems,
    program_of,
    table_problem,
)

DASH = "must not begin with a minus sign: a program could take it for an option"
UNNORMAL = "must be a normalised path, without .., . and repeated or closing slashes"
UPLOADS = PathParameter(within="/var/uploads")
SIZE = TextParameter(pattern="[0-9]{1,4}x[0-9]{1,4}")
COUNT = IntegerParameter(min=-2, max=10)


def problem(parameter: Parameter, value: object) -> str | None:
    named = NamedCommand(args=["x", "{it}"], parameters={"it": parameter})
    command = ExecCommand(name="x", arguments={"it": value})  # type: ignore[dict-item]
    found = [*call_problems("x", named, command, "/command")]
    assert all(one.path == "/command/arguments/it" for one in found)
    return found[0].message if found else None


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (TextParameter(), "any 'text'\n", None),
        (TextParameter(), "", None),
        (TextParameter(), 1, "must be a text"),
        (TextParameter(), True, "must be a text"),
        (TextParameter(), "a\0b", "must not contain NUL characters: no program can receive them"),
        (TextParameter(), "-x", DASH),
        (TextParameter(), "-", DASH),
        (TextParameter(dash=True), "-x", None),
        (TextParameter(max_length=3), "abcd", "must be a text of at most 3 characters"),
        (TextParameter(max_length=3), "__JOBID__", None),
        (TextParameter(), "-__JOBID__", DASH),
        (SIZE, "100x100", None),
        (SIZE, "100x100\n", "does not match the pattern [0-9]{1,4}x[0-9]{1,4}"),
        (SIZE, "x100x100", "does not match the pattern [0-9]{1,4}x[0-9]{1,4}"),
        (SIZE, "__ATTEMPT__x9", None),
        (COUNT, 10, None),
        (COUNT, 11, "must be a whole number from -2 to 10"),
        (COUNT, -1, DASH),
        (IntegerParameter(min=-2, dash=True), -1, None),
        (COUNT, 1.0, "must be a whole number"),
        (COUNT, True, "must be a whole number"),
        (COUNT, "7", None),
        (COUNT, "7 ", "must be a whole number"),
        (COUNT, "\u0667", "must be a whole number"),
        (COUNT, "11", "must be a whole number from -2 to 10"),
        (COUNT, "__JOBID__", None),
        (IntegerParameter(), 10**400, "must be a whole number from -9223372036854775808 to 9223372036854775807"),
        (NumberParameter(max=2), 1.5, None),
        (NumberParameter(max=2), 2.5, "must be a number from -1e+308 to 2"),
        (NumberParameter(), "1", "must be a number"),
        (NumberParameter(), True, "must be a number"),
        (NumberParameter(), -0.5, DASH),
        (ChoiceParameter(choices=["a", "b"]), "b", None),
        (ChoiceParameter(choices=["a", "b"]), "c", "must be one of a, b"),
        (ChoiceParameter(choices=["1"]), 1, "must be one of 1"),
        (ChoiceParameter(choices=["7"]), "__JOBID__", None),
        (UPLOADS, "/var/uploads/a/b.png", None),
        (UPLOADS, "/var/uploads", None),
        (UPLOADS, "/var/uploads2/a", "must be a path within /var/uploads"),
        (UPLOADS, "/etc/passwd", "must be a path within /var/uploads"),
        (UPLOADS, "a.png", "must be an absolute path"),
        (UPLOADS, "", "must be an absolute path"),
        (UPLOADS, 1, "must be an absolute path"),
        (UPLOADS, "/var/uploads/../x", UNNORMAL),
        (UPLOADS, "/var/uploads/./x", UNNORMAL),
        (UPLOADS, "/var/uploads//x", UNNORMAL),
        (UPLOADS, "//var/uploads/x", "must be a path within /var/uploads"),
        (UPLOADS, "/var/uploads/", UNNORMAL),
        (UPLOADS, "/var/uploads/a\0", "must not contain NUL characters: no program can receive them"),
        (PathParameter(within="/"), "/etc", None),
        (FlagParameter(value="--x"), True, None),
        (FlagParameter(value="--x"), "true", "must be true or false"),
        (FlagParameter(value="--x"), 1, "must be true or false"),
    ],
)
def test_value_is_checked_as_its_type(parameter: Parameter, value: object, expected: str | None) -> None:
    assert problem(parameter, value) == expected


def test_unknown_and_missing_arguments_are_told_with_their_places() -> None:
    named = NamedCommand(args=["x", "{a}{b}"], parameters={"a": TextParameter(), "b": TextParameter(default="")})
    command = ExecCommand(name="x", arguments={"c/d": 1})
    assert [(one.path, one.message) for one in call_problems("x", named, command, "/callback_done")] == [
        ("/callback_done/arguments/c~1d", "is not a parameter of x; known are: a, b"),
        ("/callback_done/arguments/a", "is required by x"),
    ]


@pytest.mark.parametrize(
    ("command", "table", "path"),
    [
        ({"cwd": "/srv"}, {}, "/cwd"),
        ({"cwd": "/etc"}, {"job_cwd": "/srv"}, "/cwd"),
        ({"cwd": "/srv/a"}, {"job_cwd": "/srv"}, None),
        ({"stdin": ""}, {}, "/stdin"),
        ({"stdin": "x"}, {"stdin": True}, None),
        ({"env": {"A": "1"}}, {}, "/env/A"),
        ({"env": {"A": "1", "B": "2"}}, {"job_env": ["A"]}, "/env/B"),
        ({"env": {"A": "1"}}, {"job_env": ["A"]}, None),
        ({"timeout": 61.0}, {"timeout": 60.0}, "/timeout"),
        ({"timeout": 60.0}, {"timeout": 60.0}, None),
        ({"expect": 3}, {}, None),
    ],
)
def test_job_gives_only_what_the_table_leaves_to_it(command: Any, table: Any, path: str | None) -> None:
    found = [*call_problems("x", NamedCommand(args=["x"], **table), ExecCommand(name="x", **command), "")]
    assert [one.path for one in found] == ([path] if path else [])


@pytest.mark.parametrize(
    ("args", "parameters", "expected"),
    [
        (["x"], {}, None),
        (["x", "{{literal}}"], {}, None),
        (["x", "{a}"], {"a": TextParameter(default="b")}, None),
        ([""], {}, "args: the first is the program, and can't be empty or come from a parameter"),
        (["{a}"], {"a": SIZE}, "args: the first is the program, and can't be empty or come from a parameter"),
        (["x", "{b}"], {}, "args: there is no parameter b for {b}"),
        (["x"], {"a": SIZE}, "parameters.a is used nowhere in args; write {a} where it belongs"),
        (["x", "{"], {}, "args: '{' has a single {; write {{ for the character itself"),
        (["x", "{a b}"], {}, "args: '{a b}' has a single {; write {{ for the character itself"),
        (
            ["x", "n={a}"],
            {"a": FlagParameter(value="-v")},
            "parameters.a: it is a flag, so {a} must be an argument of its own",
        ),
        (
            ["x", "/tmp/{a}"],
            {"a": TextParameter()},
            "parameters.a: it becomes part of a path, where ../ would lead elsewhere; give it a pattern",
        ),
        (["x", "/tmp/{a}"], {"a": SIZE}, None),
        (
            ["x", "{a}"],
            {"a": TextParameter(pattern="(")},
            "parameters.a: pattern is no regular expression: missing ), unterminated subpattern at position 0",
        ),
        (
            ["x", "{a}"],
            {"a": IntegerParameter(min=2, max=1)},
            "parameters.a: min must not be greater than max",
        ),
        (["x", "{a}"], {"a": TextParameter(default="-")}, f"parameters.a: default {DASH}"),
        (["x", "{a}"], {"a": PathParameter(within="/a/")}, "parameters.a: within must be a normalised path: /a"),
    ],
)
def test_table_is_checked_at_the_start(args: list[str], parameters: Any, expected: str | None) -> None:
    assert table_problem(NamedCommand(args=args, parameters=parameters)) == expected


@given(st.text(), st.text())
def test_value_fills_its_place_and_nothing_else(one: str, other: str) -> None:
    named = NamedCommand(
        args=["x", "{a}", "<{a}|{b}>", "{{a}}"], parameters={"a": TextParameter(), "b": TextParameter()}
    )
    assert program_of(named, {"a": one, "b": other}) == ["x", one, f"<{one}|{other}>", "{a}"]
