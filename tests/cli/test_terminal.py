import pytest

from tests.cli.running import CommandLine
from tests.cli.stub_server import Stub, job, of

ESCAPE = "\x1b["


@pytest.fixture(autouse=True)
def jobs(stub: Stub) -> None:
    items = [job(12, "running"), job(9, "failed", summary="POST example.com/" + "long/" * 40)]
    stub.tell("GET /v1/jobs", of({"items": items, "next_cursor": None}))
    stub.tell("GET /v1/jobs/9", of(items[1]))
    stub.tell("GET /v1/jobs/9/attempts", of({"items": []}))


def test_a_terminal_gets_a_table_with_a_heading_and_colours(qs: CommandLine) -> None:
    shown = qs.on_terminal("ls").out
    assert "STATE" in shown
    assert f"{ESCAPE}33mrunning" in shown
    assert f"{ESCAPE}1;31mfailed" in shown


def test_a_narrow_terminal_cuts_what_may_be_cut(qs: CommandLine) -> None:
    lines = qs.on_terminal("ls", width=90, NO_COLOR="1").out.splitlines()
    assert len(lines) == 3
    assert all(len(line) <= 90 for line in lines)
    assert "…" in lines[2]
    assert lines[2].startswith(" 9  failed ")


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_when_it_is_not_wanted(qs: CommandLine, environ: dict[str, str]) -> None:
    for arguments in (("ls",), ("show", "9"), ("config", "show"), ("show", "99")):
        assert ESCAPE not in qs.on_terminal(*arguments, **environ).out


def test_an_empty_no_color_means_colour(qs: CommandLine) -> None:
    assert ESCAPE in qs.on_terminal("ls", NO_COLOR="").out


def test_an_error_is_coloured_on_a_terminal_only(qs: CommandLine) -> None:
    assert f"{ESCAPE}1;31merror:" in qs.on_terminal("show", "99").out
    assert ESCAPE not in qs("show", "99").err


def test_no_colour_off_a_terminal(qs: CommandLine) -> None:
    assert ESCAPE not in qs("ls").out + qs("show", "9").out


def test_a_terminal_hears_that_nothing_matches(qs: CommandLine, stub: Stub) -> None:
    stub.tell("GET /v1/jobs", of({"items": [], "next_cursor": None}))
    assert qs.on_terminal("ls").out == "no jobs match\n"


def test_markup_in_a_job_is_shown_as_it_is(qs: CommandLine, stub: Stub) -> None:
    items = [job(1, context="[bold]x[/bold] :smile:")]
    stub.tell("GET /v1/jobs", of({"items": items, "next_cursor": None}))
    assert "[bold]x[/bold] :smile:" in qs.on_terminal("ls").out
