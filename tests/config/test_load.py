from pathlib import Path

import pytest

from queue_server.config.catalog import catalog
from queue_server.config.files import SYSTEM_FOLDER, search_folders
from queue_server.config.load import Loaded, load
from queue_server.config.origin import DEFAULT, Origin
from queue_server.config.settings import Settings
from queue_server.domain.errors import InvalidSetting

FILE = "queue-server.toml"


def loaded(folder: Path, text: str | None = None, flags: dict[str, object] | None = None, **environ: str) -> Loaded:
    if text is not None:
        (folder / FILE).write_text(text)
    return load(flags or {}, environ, folders=[folder])


def complaint(folder: Path, text: str | None = None, flags: dict[str, object] | None = None, **environ: str) -> str:
    with pytest.raises(InvalidSetting) as error:
        loaded(folder, text, flags, **environ)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_nothing_given_leaves_the_defaults(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert found.settings == Settings()
    assert found.origins == dict.fromkeys(catalog(), DEFAULT)
    assert found.file is None


def test_the_file_beats_the_default(tmp_path: Path) -> None:
    found = loaded(tmp_path, "# ours\n\nport = 1\n")
    assert found.settings.port == 1
    assert found.origins["port"] == Origin("file", str(tmp_path / FILE), 3)
    assert str(found.origins["port"]) == f"{tmp_path / FILE} line 3"
    assert found.file == tmp_path / FILE


def test_a_variable_beats_the_file(tmp_path: Path) -> None:
    found = loaded(tmp_path, "port = 1", QUEUE_SERVER_PORT="2")
    assert found.settings.port == 2
    assert str(found.origins["port"]) == "QUEUE_SERVER_PORT"


def test_a_flag_beats_a_variable(tmp_path: Path) -> None:
    found = loaded(tmp_path, "port = 1", {"port": "3", "host": None}, QUEUE_SERVER_PORT="2")
    assert found.settings.port == 3
    assert str(found.origins["port"]) == "--port"
    assert found.origins["host"] == DEFAULT


def test_a_variable_may_name_a_file_that_holds_the_value(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql://me:secret@host/db\n")
    found = loaded(tmp_path, QUEUE_SERVER_DB_FILE=str(secret))
    assert found.settings.db == "postgresql://me:secret@host/db"
    assert str(found.origins["db"]) == "QUEUE_SERVER_DB_FILE"


def test_only_one_newline_is_taken_from_the_end_of_such_a_file(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"a \n\r\n")
    assert loaded(tmp_path, QUEUE_SERVER_NODE_NAME_FILE=str(tmp_path / "name")).settings.node_name == "a \n"


def test_a_value_and_its_file_together_are_refused(tmp_path: Path) -> None:
    message = complaint(tmp_path, QUEUE_SERVER_DB="sqlite:///x", QUEUE_SERVER_DB_FILE="/x")
    assert message == ("setting db is given by both QUEUE_SERVER_DB and QUEUE_SERVER_DB_FILE; set only one of them")


def test_a_value_file_that_is_missing_is_named(tmp_path: Path) -> None:
    message = complaint(tmp_path, QUEUE_SERVER_DB_FILE=str(tmp_path / "none"))
    assert message == (
        f"setting db from QUEUE_SERVER_DB_FILE: can't read {tmp_path / 'none'}: No such file or directory"
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("port", "65536", "'65536' is not a whole number from 0 to 65535"),
        ("port", "", "'' is not a whole number from 0 to 65535"),
        ("port", "80a", "'80a' is not a whole number from 0 to 65535"),
        ("concurrency", "0", "'0' is not a whole number from 1 to 10000"),
        ("exec", "of", "'of' is not one of off, named, any; did you mean off?"),
        ("http_timeout", "0", "'0' is not a duration above 0 such as 90, 500ms, 15m, 12h or 7d"),
        ("http_timeout", "99999d", "'99999d' is not a duration above 0 such as 90, 500ms, 15m, 12h or 7d"),
        ("retention_failed", "a week", "'a week' is not a duration such as 90, 500ms, 15m, 12h or 7d"),
        ("max_body", "1KB", "'1KB' is not a size of at least 1024 such as 1048576, 512KiB or 1MiB"),
        ("default_context", "x" * 256, f"'{'x' * 78}… is not a text of at most 255 characters"),
        ("log_level", "jason\n", "'jason\\n' is not one of debug, info, warning, error"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_its_origin(tmp_path: Path, name: str, value: str, told: str) -> None:
    setting = catalog()[name]
    assert complaint(tmp_path, flags={name: value}) == f"setting {name} from {setting.flag}: {told}"
    assert complaint(tmp_path, **{setting.variable: value}) == f"setting {name} from {setting.variable}: {told}"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("port = 65536", "65536 is not a whole number from 0 to 65535"),
        ("port = true", "True is not a whole number from 0 to 65535"),
        ("port = 1.5", "1.5 is not a whole number from 0 to 65535"),
        ("host = 5", "5 is not a text"),
        ("http_timeout = nan", "nan is not a duration above 0 such as 90, 500ms, 15m, 12h or 7d"),
        ("http_timeout = inf", "inf is not a duration above 0 such as 90, 500ms, 15m, 12h or 7d"),
        ("shutdown_grace = -1", "-1 is not a duration such as 90, 500ms, 15m, 12h or 7d"),
        ("db = ['x']", "['x'] is not a text"),
        ("port.x = 5", "{'x': 5} is not a whole number from 0 to 65535"),
    ],
)
def test_a_value_that_is_not_allowed_in_the_file_is_told_with_its_line(tmp_path: Path, line: str, told: str) -> None:
    name = line.partition(" ")[0].partition(".")[0]
    message = complaint(tmp_path, f"# ours\n{line}\n")
    assert message == f"setting {name} from {tmp_path / FILE} line 2: {told}"


def test_a_mistake_is_told_even_where_something_stronger_is_right(tmp_path: Path) -> None:
    assert complaint(tmp_path, "port = 'x'", {"port": "3"}).startswith("setting port from")


def test_the_file_may_give_numbers_or_texts_with_units(tmp_path: Path) -> None:
    settings = loaded(tmp_path, 'http_timeout = 20\nexec_timeout = "5m"\nmax_body = "2MiB"\n').settings
    assert (settings.http_timeout, settings.exec_timeout, settings.max_body) == (20.0, 300.0, 2 << 20)
    assert isinstance(settings.http_timeout, float)


def test_an_unknown_setting_in_the_file_is_told_with_its_line_and_a_guess(tmp_path: Path) -> None:
    message = complaint(tmp_path, "port = 1\nconncurrency = 5\n")
    assert message == f"unknown setting conncurrency in {tmp_path / FILE} line 2; did you mean concurrency?"


def test_a_table_in_the_file_is_an_unknown_setting(tmp_path: Path) -> None:
    message = complaint(tmp_path, "\n[xyz]\nport = 1\n")
    assert message == (f"unknown setting xyz in {tmp_path / FILE} line 2; `queue-server config show` lists them all")


def test_a_file_that_is_no_toml_is_told_with_its_place(tmp_path: Path) -> None:
    assert "line 2" in complaint(tmp_path, "port = 1\nport\n")


def test_an_unknown_variable_of_ours_is_refused_with_a_guess(tmp_path: Path) -> None:
    message = complaint(tmp_path, QUEUE_SERVER_PROT="1")
    assert message == "unknown setting QUEUE_SERVER_PROT in the environment; did you mean QUEUE_SERVER_PORT?"


def test_the_variables_of_clients_and_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("")
    found = loaded(
        tmp_path,
        QUEUE_SERVER_URL="http://x",
        QUEUE_SERVER_TOKEN="t",
        QUEUE_SERVER_CONFIG=str(tmp_path / "x.toml"),
        PATH="/bin",
        QUEUE_SERVERS="2",
    )
    assert found.settings == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QUEUE_SERVER_PORT", "tcp://10.0.0.1:1337"),
        ("QUEUE_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("QUEUE_SERVER_PORT_1337_TCP", "tcp://10.0.0.1:1337"),
    ],
)
def test_the_variables_of_a_kubernetes_service_are_explained(tmp_path: Path, variable: str, value: str) -> None:
    message = complaint(tmp_path, **{variable: value})
    assert variable in message
    assert "enableServiceLinks: false" in message


def test_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    assert complaint(tmp_path, flags={"prot": "1"}) == "unknown setting --prot; did you mean --port?"


def test_a_password_is_not_repeated_in_a_message(tmp_path: Path) -> None:
    message = complaint(tmp_path, QUEUE_SERVER_PORT="postgresql://me:secret@host/db")
    assert "secret" not in message


def test_the_first_folder_with_a_file_wins(tmp_path: Path) -> None:
    for name, port in (("b", 2), ("c", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_text(f"port = {port}")
    found = load({}, {}, folders=[tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    assert found.settings.port == 2


def test_a_named_file_beats_the_variable_and_the_folders(tmp_path: Path) -> None:
    for name, port in (("a.toml", 1), ("b.toml", 2), (FILE, 3)):
        (tmp_path / name).write_text(f"port = {port}")
    environ = {"QUEUE_SERVER_CONFIG": str(tmp_path / "b.toml")}
    assert load({}, environ, config=str(tmp_path / "a.toml"), folders=[tmp_path]).settings.port == 1
    assert load({}, environ, folders=[tmp_path]).settings.port == 2
    assert load({}, {}, folders=[tmp_path]).settings.port == 3


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"^settings file from --config: can't read .*: No such file"):
        load({}, {}, config=str(tmp_path / "none.toml"), folders=[])
    message = complaint(tmp_path, QUEUE_SERVER_CONFIG=str(tmp_path / "none.toml"))
    assert message.startswith("settings file from QUEUE_SERVER_CONFIG: can't read")


def test_a_found_file_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert "can't read" in complaint(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE).write_bytes(b"host = '\xff'")
    with pytest.raises(InvalidSetting, match="not UTF-8"):
        load({}, {}, folders=[tmp_path / "other"])


def test_files_are_looked_for_here_then_with_the_user_then_in_the_system() -> None:
    here, system = Path(), SYSTEM_FOLDER
    assert search_folders({"HOME": "/h"}) == (here, Path("/h/.config/queue-server"), system)
    assert search_folders({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == (here, Path("/x/queue-server"), system)
    assert search_folders({"HOME": "/h", "XDG_CONFIG_HOME": "x"}) == (
        here,
        Path("/h/.config/queue-server"),
        system,
    )
    assert search_folders({}) == (here, system)
