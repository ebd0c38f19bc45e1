import msgspec
import pytest

from queue_server.config.catalog import Setting, catalog
from queue_server.config.settings import Settings

SETTINGS = list(catalog().values())


def test_msgspec_accepts_the_types_of_all_settings() -> None:
    assert msgspec.convert({}, Settings) == Settings()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_has_a_description_that_is_a_sentence(setting: Setting) -> None:
    assert setting.description.endswith(".")
    assert "\n" not in setting.description


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_is_read_back_from_how_it_is_shown(setting: Setting) -> None:
    assert setting.read(setting.format(setting.default)) == setting.default


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_says_what_is_allowed(setting: Setting) -> None:
    assert setting.allowed.startswith(("a ", "one of ", "true or false"))


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("port", "a whole number from 0 to 65535"),
        ("max_waiting", "a whole number of at least 1"),
        ("exec", "one of off, named, any"),
        ("http_timeout", "a duration above 0 such as 90, 500ms, 15m, 12h or 7d"),
        ("max_body", "a size of at least 1024 such as 1048576, 512KiB or 1MiB"),
        ("default_context", "a text of at most 255 characters"),
        ("host", "a text"),
    ],
)
def test_what_is_allowed_is_said_in_words(name: str, allowed: str) -> None:
    assert catalog()[name].allowed == allowed
