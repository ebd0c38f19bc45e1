"""The tables of the settings file that name commands."""

from pathlib import Path

import pytest

from queue_server.config.load import Loaded, load
from queue_server.domain.errors import InvalidSetting
from queue_server.domain.named import IntegerParameter, NamedCommand, PathParameter, TextParameter

FILE = """exec = "named"

[commands.thumbnail]
args = ["convert", "{input}", "-resize", "{size}"]
parameters.input = { type = "path", within = "/var/uploads" }
parameters.size = { type = "text", pattern = "[0-9]{1,4}x[0-9]{1,4}", default = "200x200" }
run_as = "media"
timeout = "2m"
memory = "512MiB"

[commands.count]
args = ["seq", "{to}"]
[commands.count.parameters.to]
type = "integer"
max = 10
"""


def loaded(folder: Path, text: str) -> Loaded:
    (folder / "queue-server.toml").write_text(text)
    return load({}, {}, folders=[folder])


def test_tables_become_commands_that_know_their_lines(tmp_path: Path) -> None:
    found = loaded(tmp_path, FILE)
    assert found.settings.commands == {
        "thumbnail": NamedCommand(
            args=["convert", "{input}", "-resize", "{size}"],
            parameters={
                "input": PathParameter(within="/var/uploads"),
                "size": TextParameter(pattern="[0-9]{1,4}x[0-9]{1,4}", default="200x200"),
            },
            run_as="media",
            timeout=120.0,
            memory=512 * 1024 * 1024,
        ),
        "count": NamedCommand(args=["seq", "{to}"], parameters={"to": IntegerParameter(max=10)}),
    }
    assert [origin.line for origin in found.command_origins.values()] == [3, 11]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "args is missing"),
        ('args = "ls"', "args: expected array, got str"),
        ("args = []", "args: expected array of length >= 1"),
        ('args = ["a"]\nrun_ass = "x"', "run_ass is unknown; did you mean run_as?"),
        ('args = ["a"]\ntimeout = "soon"', "timeout: 'soon' is not a duration such as 90, 15m or 12h"),
        ('args = ["a"]\nmemory = "much"', "memory: 'much' is not a size such as 512KiB"),
        ('args = ["a"]\nmemory = -1', "memory: expected int >= 1"),
        ('args = ["a"]\ncwd = "here"', "cwd: expected str matching regex '^/'"),
        ('args = ["a"]\nsandbox = "maybe"', "sandbox: invalid enum value 'maybe'"),
        ('args = ["a"]\nenv = { "A=" = "1" }', "env: 'A=' is not a name of an environment variable"),
        ('args = ["a"]\njob_env = ["LD_PRELOAD"]', "job_env: LD_PRELOAD can't be left to jobs"),
        ('args = ["a", "{b}"]\nparameters.b = { type = "txt" }', "parameters.b.type must be one of text, integer"),
        ('args = ["a", "{b}"]\nparameters.b = { type = "path" }', "parameters.b.within is missing"),
        ('args = ["a", "{b}"]\nparameters.b = { type = "text", min = 1 }', "parameters.b.min is unknown"),
        ('args = ["a", "{b}"]', "args: there is no parameter b for {b}"),
    ],
)
def test_table_that_is_wrong_is_one_line_with_file_line_and_command(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(InvalidSetting) as error:
        loaded(tmp_path, f'exec = "named"\n\n[commands.mail]\n{table}\n')
    assert str(error.value).startswith(f"{tmp_path}/queue-server.toml line 3: command mail: {words}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("commands = 1\n", "setting commands from .* line 1: must be tables such as"),
        ("[commands]\nmail = 1\n", "line 1: command mail: must be a table with args"),
        ('[commands."a b"]\nargs = ["x"]\n', "line 1: command a b: its name must be"),
        ('[comands.a]\nargs = ["x"]\n', "unknown setting comands .*; did you mean commands"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        loaded(tmp_path, text)


def test_only_the_file_can_name_commands(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="unknown setting QUEUE_SERVER_COMMANDS"):
        load({}, {"QUEUE_SERVER_COMMANDS": "{}"}, folders=[tmp_path])
    with pytest.raises(InvalidSetting, match="unknown setting --commands"):
        load({"commands": {}}, {}, folders=[tmp_path])
