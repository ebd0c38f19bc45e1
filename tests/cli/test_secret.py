"""The secret commands against a real server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_server.client import verify
from tests.cli.running import CommandLine
from tests.support.server import Server, running
from tests.support.target import Target, running_target

TEXT = "swordfish"


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as target:
        yield target


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def shell(home: Server) -> CommandLine:
    return CommandLine(home.folder, home.url)


def header_of(server: Server, target: Target, name: str) -> str | None:
    url = f"{target.url}/{name}"
    server.run({"type": "http", "url": url, "headers": {"X-Key": {"secret_ref": name}}})
    return target.of(f"/{name}")[0].header("X-Key")


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secret_is_set_from_stdin_less_its_line_end(home, shell, target, end) -> None:
    ran = shell("secret", "set", "api", stdin=f"{TEXT}{end}".encode())
    assert (ran.code, ran.out, ran.err) == (0, "", "secret api is kept\n")
    assert header_of(home, target, "api") == TEXT


def test_secret_is_set_from_a_file(home, shell, target, tmp_path) -> None:
    (tmp_path / "key").write_text(f"{TEXT}\n")
    assert shell("secret", "set", "api", "--from-file", str(tmp_path / "key")).code == 0
    assert header_of(home, target, "api") == TEXT


def test_secret_is_never_taken_from_the_command_line(shell) -> None:
    ran = shell("secret", "set", "api", TEXT)
    assert ran.code == 2


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff"])
def test_secret_that_is_none_is_a_usage_error(shell, content) -> None:
    ran = shell("secret", "set", "api", stdin=content)
    assert ran.code == 2
    assert "The secret is" in ran.err


def test_secret_is_typed_unseen_on_a_terminal(home, shell, target) -> None:
    ran = shell.on_terminal("secret", "set", "api", typed={"Secret: ": f"{TEXT}\n".encode()})
    assert ran.code == 0
    assert TEXT not in ran.out
    assert header_of(home, target, "api") == TEXT


def test_secrets_are_listed_without_their_texts_and_deleted(shell) -> None:
    shell("secret", "set", "api", stdin=TEXT.encode())
    listed = shell("secret", "list", "-o", "json")
    assert [one["name"] for one in json.loads(listed.out)] == ["api"]
    assert TEXT not in listed.out + shell("secret", "list").out
    assert shell("secret", "delete", "api").code == 0
    assert shell("secret", "delete", "api").code == 3
    assert json.loads(shell("secret", "list", "-o", "json").out) == []


def test_signing_secret_is_made_rotated_and_shown_once(home, shell, target) -> None:
    made = shell("secret", "create-signing")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", made.out)
    assert "not shown again" in made.err
    rotated = shell("secret", "rotate", "--overlap", "1h")
    home.run({"type": "http", "url": target.on("/signed")})
    (request,) = target.of("/signed")
    for secret in (made.out, rotated.out):
        assert verify(dict(request.headers), request.body, secret)
    listed = shell("secret", "list", "-o", "json").out + shell("secret", "list").out
    assert made.out.strip() not in listed
    assert shell("secret", "create-signing").code == 1
    assert shell("secret", "rotate", "other").code == 3


def test_secrets_are_sealed_anew(shell) -> None:
    shell("secret", "set", "api", stdin=TEXT.encode())
    assert re.fullmatch(r"1 secrets are sealed with key [0-9a-f]{8}\n", shell("secret", "rekey").err)
