import subprocess
import sys

import click
import pytest

from queue_server.cli.commands.serve import SECTIONS
from queue_server.cli.main import root
from queue_server.config.catalog import catalog
from tests.cli.running import CommandLine

CONTEXT = click.Context(root)
NAMES = root.list_commands(CONTEXT)


def command(name: str) -> click.Command:
    found = root.get_command(CONTEXT, name)
    assert found is not None
    return found


def test_every_command_is_listed_in_the_help(alone: CommandLine) -> None:
    shown = alone("--help").out
    assert all(f"\n  {name} " in shown for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_its_name_a_help_and_described_options(name: str) -> None:
    found = command(name)
    assert found.name == name
    assert found.help
    assert "\\b" not in found.help  # click's mark is the character, not its escape
    for param in found.params:
        assert isinstance(param, click.Argument) or getattr(param, "help", None), param.name


def test_every_setting_has_a_flag_with_its_description_and_default() -> None:
    options = {param.name: param for param in command("serve").params}
    for setting in catalog().values():
        option = options[setting.name]
        assert isinstance(option, click.Option)
        assert option.opts == [setting.flag]
        assert option.help
        assert setting.description in option.help


def test_every_setting_is_under_a_heading_of_its_own() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(catalog())


def test_the_help_of_serve_shows_every_setting(alone: CommandLine) -> None:
    shown = alone("serve", "--help").out
    assert all(f"  {setting.flag} " in shown for setting in catalog().values())


@pytest.mark.parametrize("arguments", [("--help",), *((name, "--help") for name in NAMES)])
def test_help_loads_nothing_slow(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys\n"
        "from queue_server.cli.main import main\n"
        f"main({arguments!r})\n"
        "slow = {'rich', 'asyncio', 'starlette', 'uvicorn', 'uvloop', 'structlog', 'apsw'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=20)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_covers_both_names(alone: CommandLine, shell: str) -> None:
    ran = alone("completion", shell)
    assert ran.code == 0
    assert "_QUEUE_SERVER_COMPLETE" in ran.out
    assert "_QS_COMPLETE" in ran.out


def test_version_is_told_in_each_way(alone: CommandLine) -> None:
    told = alone("version").out
    assert told.startswith("queue-server 0.")
    assert alone("--version").out == told
    assert f'"version":"{told.split()[1]}"' in alone("version", "-o", "ndjson").out
