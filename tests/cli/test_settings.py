import json
from pathlib import Path

from queue_server.config.catalog import catalog
from tests.cli.running import CommandLine


def test_config_show_tells_each_setting_and_its_origin(alone: CommandLine) -> None:
    Path(alone.folder, "queue-server.toml").write_text('http_timeout = "90s"\n')
    rows = [line.split("\t") for line in alone("config", "show", QUEUE_SERVER_PORT="1").out.splitlines()]
    assert [row[0] for row in rows] == list(catalog())
    told = {row[0]: row[1:3] for row in rows}
    assert told["http_timeout"] == ["90s", "queue-server.toml line 1"]
    assert told["port"] == ["1", "QUEUE_SERVER_PORT"]
    assert told["retention_completed"] == ["7d", "default"]


def test_config_show_as_json_has_numbers_and_descriptions(alone: CommandLine) -> None:
    items = json.loads(alone("config", "show", "-o", "json").out)
    told = {item["name"]: item for item in items}
    assert told["retention_completed"]["value"] == 604_800
    assert told["port"] == {
        "name": "port",
        "value": 1337,
        "origin": "default",
        "description": catalog()["port"].description,
    }


def test_config_show_lists_the_commands_of_the_file(alone: CommandLine) -> None:
    Path(alone.folder, "queue-server.toml").write_text('[commands.hello]\nargs = ["echo", "it is"]\nrun_as = "media"\n')
    rows = [line.split("\t") for line in alone("config", "show").out.splitlines()]
    words = "A command that jobs may run by this name, as media."
    assert rows[len(catalog()) :] == [["commands.hello", "echo 'it is'", "queue-server.toml line 1", words]]


def test_config_show_masks_passwords(alone: CommandLine) -> None:
    for form in ("table", "json", "ndjson"):
        ran = alone("config", "show", "-o", form, QUEUE_SERVER_DB="postgresql://me:pa55word@host/db")
        assert "postgresql://me:***@host/db" in ran.out
        assert "pa55word" not in ran.out + ran.err


def test_a_wrong_setting_ends_each_command_that_reads_them_with_2_and_one_line(alone: CommandLine) -> None:
    for arguments in (("serve",), ("config", "show"), ("migrate",)):
        ran = alone(*arguments, QUEUE_SERVER_PORT="x")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == ("error: setting port from QUEUE_SERVER_PORT: 'x' is not a whole number from 0 to 65535\n")


def test_a_wrong_flag_of_serve_is_told_in_the_same_way(alone: CommandLine) -> None:
    ran = alone("serve", "--exec", "on")
    assert (ran.code, ran.err) == (2, "error: setting exec from --exec: 'on' is not one of off, named, any\n")


def test_a_settings_file_that_is_named_is_read(alone: CommandLine) -> None:
    Path(alone.folder, "my.toml").write_text("prot = 5\n")
    ran = alone("serve", "--config", "my.toml")
    assert (ran.code, ran.err) == (
        2,
        "error: unknown setting prot in my.toml line 1; did you mean port?\n",
    )
    assert alone("config", "show", QUEUE_SERVER_CONFIG="my.toml").err == ran.err


def test_clients_do_not_mind_wrong_settings(alone: CommandLine) -> None:
    assert alone("version", QUEUE_SERVER_PORT="x").code == 0
    assert alone("ls", QUEUE_SERVER_PORT="x").code == 5
