import os
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import strategies as st

from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.placeholders import fill_exec, fill_http, values_for
from tests.builders.jobs import HTTP, REPORT, job, plan
from tests.builders.properties import for_all
from tests.builders.strategies import contexts, hostile, http, shell

VALUES = {"__JOBID__": "7", "__ATTEMPT__": "2", "__CONTEXT__": 'a b&"c"/é'}
ALL = "__JOBID__ __ATTEMPT__ __CONTEXT__ __STATE__ __EXITCODE__"


def test_job_has_the_values_of_its_own_run():
    assert values_for(job(id=7, attempt=2, context="app")) == {
        "__JOBID__": "7",
        "__ATTEMPT__": "2",
        "__CONTEXT__": "app",
    }


def test_callback_has_the_values_of_the_job_it_reports():
    assert values_for(job(id=8, attempt=4, context="x", plan=plan(report=REPORT))) == {
        "__JOBID__": "7",
        "__ATTEMPT__": "2",
        "__CONTEXT__": "app",
        "__STATE__": "failed",
        "__EXITCODE__": "500",
    }


def test_exit_code_is_empty_where_there_is_none():
    report = msgspec.structs.replace(REPORT, exit_code=None)
    assert values_for(job(plan=plan(report=report)))["__EXITCODE__"] == ""


def test_state_and_exit_code_are_replaced_in_callbacks_only():
    of_job, of_callback = values_for(job(context="app")), values_for(job(plan=plan(report=REPORT)))
    assert fill_http(http(body=ALL), of_job).body == "7 1 app __STATE__ __EXITCODE__"
    assert fill_http(http(body=ALL), of_callback).body == "7 2 app failed 500"


def test_each_place_of_an_http_command_has_its_encoding():
    filled = fill_http(
        http(
            url="http://example.com/__CONTEXT__?job=__JOBID__",
            params={"a": "__CONTEXT__", "b": ["__JOBID__", 5], "c": {"d": "__ATTEMPT__"}, "e": None},
            headers={"X-Context": "<__CONTEXT__>"},
            json=msgspec.Raw(b'{"text":"__CONTEXT__","big":123456789012345678901234567890}'),
        ),
        VALUES,
    )
    assert filled.url == "http://example.com/a%20b%26%22c%22%2F%C3%A9?job=7"
    assert filled.params == {"a": 'a b&"c"/é', "b": ["7", 5], "c": {"d": "2"}, "e": None}
    assert filled.headers == {"X-Context": '<a b&"c"/é>'}
    expected = '{"text":"a b&\\"c\\"/é","big":123456789012345678901234567890}'
    assert bytes(filled.json).decode() == expected
    assert fill_http(http(body="[__CONTEXT__]"), VALUES).body == '[a b&"c"/é]'


def test_each_place_of_an_exec_command_has_its_encoding():
    filled = fill_exec(shell("run __JOBID__", env={"C": "__CONTEXT__"}, stdin="<__CONTEXT__>"), VALUES)
    assert filled.cmd == "run 7"
    assert filled.env == {"C": 'a b&"c"/é'}
    assert filled.stdin == '<a b&"c"/é>'
    assert fill_exec(shell(args=["x", "__CONTEXT__", "--job=__JOBID__"]), VALUES).args == [
        "x",
        'a b&"c"/é',
        "--job=7",
    ]


@pytest.mark.parametrize(
    "command", [HTTP, http(params={"a": "b"}, headers={"C": "d"}, json=msgspec.Raw(b"{}"), body="e")]
)
def test_http_command_without_placeholders_stays_as_it_is(command):
    assert fill_http(command, VALUES) == command


@pytest.mark.parametrize("command", [shell("x"), shell(args=["x", "y"], env={"A": "b"}, stdin="c")])
def test_exec_command_without_placeholders_stays_as_it_is(command):
    assert fill_exec(command, VALUES) == command


@pytest.mark.parametrize("command", [HTTP, shell("x"), shell(args=["x"])])
def test_same_object_comes_back_where_there_is_nothing_to_fill(command):
    fill = fill_http if isinstance(command, HttpCommand) else fill_exec
    assert fill(command, VALUES) is command


def test_name_that_is_no_placeholder_stays():
    assert fill_http(http(url="http://example.com/__init__"), VALUES).url == "http://example.com/__init__"


@pytest.mark.parametrize(
    "members",
    [
        {"url": "http://example.com/__JOBID__"},
        {"params": {"a": ["__JOBID__"]}},
        {"headers": {"A": "__JOBID__"}},
        {"json": msgspec.Raw(b'"__JOBID__"')},
        {"body": "__JOBID__"},
    ],
)
def test_every_place_that_may_have_placeholders_is_filled(members):
    assert fill_http(http(**members), VALUES) != http(**members)


@for_all(contexts)
def test_context_arrives_whole_in_url_and_json(context):
    values = VALUES | {"__CONTEXT__": context}
    url = fill_http(http(url="http://example.com/?a=__CONTEXT__&b=1"), values).url
    assert parse_qs(urlsplit(url).query, keep_blank_values=True) == {"a": [context], "b": ["1"]}
    assert url.isascii()
    filled = fill_http(http(json=msgspec.Raw(b'{"a":"__CONTEXT__"}')), values)
    assert msgspec.json.decode(filled.json) == {"a": context}


@for_all(hostile)
def test_value_is_not_filled_again(context):
    """A context may contain the name of another placeholder; it is a text like any other."""
    values = values_for(job(plan=plan(report=msgspec.structs.replace(REPORT, context=context))))
    assert fill_http(http(body="__CONTEXT__"), values).body == context


def test_plain_value_is_written_into_the_command_and_any_other_handed_over_in_a_variable():
    assert fill_exec(shell("run __CONTEXT__"), {"__CONTEXT__": "MyApp"}) == shell("run MyApp")
    filled = fill_exec(shell("run __CONTEXT__", env={"A": "b"}), {"__CONTEXT__": "it's"})
    assert (filled.cmd, filled.env) == ('run "$__CONTEXT__"', {"A": "b", "__CONTEXT__": "it's"})


# What a shell really makes of it.

SHELL_PLACES = {
    "word": "printf %s __CONTEXT__",
    "part of a word": "printf %s a=__CONTEXT__",
    "in double quotes": 'printf %s "a=__CONTEXT__"',
    "in single quotes": "printf %s 'a=__CONTEXT__'",
    "after other quotes": "printf %s 'it'\"'s\"\\'__CONTEXT__",
    "after a backslash": "printf %s a='\\'\\\\\\\"=__CONTEXT__",
    "between placeholders": "printf %s __JOBID____CONTEXT__",
}
PREFIXES = {"word": "", "after other quotes": "it's'", "after a backslash": 'a=\\\\"=', "between placeholders": "7"}


@for_all(st.sampled_from(sorted(SHELL_PLACES)), hostile | contexts, quick=120)
def test_shell_gets_the_context_as_one_text_wherever_it_stands(place, context):
    values = VALUES | {"__CONTEXT__": context}
    printed = _run(fill_exec(shell(SHELL_PLACES[place]), values))
    assert printed == PREFIXES.get(place, "a=") + context


NESTED_PLACES = [
    'printf %s "$(printf %s "__CONTEXT__")"',
    "printf %s `printf %s __CONTEXT__`",
    'printf %s "`printf %s "__CONTEXT__"`"',
    '# don\'t\nprintf %s "__CONTEXT__"',
    'cat <<END\n__CONTEXT__ "__CONTEXT__"\nEND',
    'printf %s "${NOTHING:-"__CONTEXT__"}"',
]


@for_all(st.sampled_from(NESTED_PLACES), hostile, quick=120)
def test_shell_never_executes_the_context_however_it_is_nested(cmd, context):
    """Where quotes are nested the context may arrive changed, but it never becomes a command."""
    command = fill_exec(
        shell(cmd), VALUES | {"__CONTEXT__": context + "`touch hit`$(touch hit);touch hit;'\"touch hit"}
    )
    folder = _folder()
    _run(command, check=False)
    assert not (folder / "hit").exists()


def _folder() -> Path:
    """Where the shell runs, and where a `touch` would leave its trace."""
    folder = Path(os.environ["PYTEST_CONTEXT_FOLDER"])
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_CONTEXT_FOLDER", str(tmp_path / "run"))


def _run(command: ExecCommand, *, check: bool = True) -> str:
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"} | (command.env or {})
    done = subprocess.run(
        ["/bin/sh", "-c", command.cmd or ""], cwd=_folder(), env=env, capture_output=True, check=check, timeout=20
    )
    assert not (_folder() / "hit").exists(), f"executed: {command}"
    return done.stdout.decode()
