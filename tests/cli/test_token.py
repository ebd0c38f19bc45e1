"""`token`, at a server and in a database that no server has open."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import PROGRAM, CommandLine, Ran
from tests.cli.stub_server import Stub
from tests.support.server import Server, free_port
from tests.support.waiting import until

TEXT = re.compile(r"qs_[0-9A-Za-z]{43}\n")
NOBODY = "QUEUE_SERVER_URL"


class Alone(CommandLine):
    """The command line of somebody who has named no server."""

    def environment(self, extra=None):
        environment = super().environment(extra)
        if NOBODY not in (extra or {}):
            del environment[NOBODY]
        return environment


@pytest.fixture
def here(tmp_path: Path) -> Alone:
    """A folder whose settings name a port that nobody listens on."""
    (tmp_path / "queue-server.toml").write_text(f"port = {free_port()}\n")
    return Alone(tmp_path)


@pytest.fixture
def started(here: Alone) -> Iterator[subprocess.Popen[bytes]]:
    """A server in that folder, with the settings that are there, as somebody would start it."""
    with (here.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            (*PROGRAM, "serve"),
            cwd=here.folder,
            env=here.environment(),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def created(qs: CommandLine, name: str, *arguments: str, **environ: str) -> str:
    """Make a token; its text."""
    ran = qs("token", "create", "--name", name, *arguments, **environ)
    assert ran.code == 0, ran.err
    assert TEXT.fullmatch(ran.out)
    assert ran.out.strip() not in ran.err
    return ran.out.strip()


def items(ran: Ran) -> list[dict[str, object]]:
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


# In the database.


def test_first_token_is_there_before_the_server(here: Alone) -> None:
    text = created(here, "ops", "--scope", "admin")
    (token,) = items(here("token", "list", "-o", "ndjson"))
    assert (token["name"], token["scopes"]) == ("ops", ["admin"])
    stored = b"".join(path.read_bytes() for path in here.folder.iterdir())
    assert text.encode() not in stored


def test_text_alone_is_on_stdout_and_the_rest_on_stderr(here: Alone) -> None:
    ran = here("token", "create", "--name", "ci", "--scope", "admin")
    assert TEXT.fullmatch(ran.out)
    lines = ran.err.splitlines()
    assert lines[0] == f"no server is running on {here.folder}/queue-server.db; working on it directly"
    assert lines[1] == "token 1 (ci) may admin; its text is not shown again"
    assert len(lines) == 2


def test_every_option_is_a_member(here: Alone) -> None:
    created(
        here,
        "ci",
        *("--scope", "add,read:output", "--scope", "manage", "--context", "a, b", "--context", "c", "--queue", "q"),
        *("--expires", "90d", "--http-targets", "public", "--http-allow", "a.example,b.example", "--http-deny", "c"),
    )
    (token,) = items(here("token", "list", "-o", "ndjson"))
    assert token["scopes"] == ["add", "read:output", "manage"]
    assert (token["contexts"], token["queues"]) == (["a, b", "c"], ["q"])
    assert (token["http_targets"], token["http_allow"]) == ("public", ["a.example", "b.example"])
    assert token["http_deny"] == ["c"]
    shown = dict(line.split("\t") for line in here("token", "show", "ci").out.splitlines())
    assert shown["scopes"] == "add, read:output, manage"
    assert (shown["contexts"], shown["queues"], shown["http_allow"]) == ("a, b, c", "q", "a.example, b.example")
    assert "expires" in shown


def test_default_scopes_are_add_and_read_and_the_trap_is_told(here: Alone) -> None:
    ran = here("token", "create", "--name", "ci", "--expires", "2033-01-01T00:00:00Z")
    assert "no token has scope admin yet" in ran.err
    (token,) = items(here("token", "list", "-o", "ndjson"))
    assert (token["scopes"], token["expires_at"]) == (["add", "read"], "2033-01-01T00:00:00.000000Z")
    created(here, "ops", "--scope", "admin")
    assert "no token has" not in here("token", "create", "--name", "ci2").err
    assert "no token has" not in here("token", "create", "--name", "ci3", QUEUE_SERVER_ADMIN_TOKEN="x" * 20).err


def test_token_is_named_by_its_id_or_its_name(here: Alone) -> None:
    created(here, "one", "--scope", "admin")
    created(here, "two")
    assert json.loads(here("token", "show", "1", "-o", "json").out)["name"] == "one"
    assert json.loads(here("token", "show", "two", "-o", "json").out)["id"] == 2
    assert here("token", "revoke", "two").err.endswith("token 2 (two) is revoked\n")
    assert here("token", "revoke", "1").code == 0
    assert here("token", "list").out == ""
    assert [token["state"] for token in items(here("token", "list", "--revoked", "-o", "ndjson"))] == ["revoked"] * 2
    assert here("token", "list", "--revoked", "-o", "id").out == "2\n1\n"
    for token in ("two", "99"):
        for action in ("show", "revoke", "rotate"):
            ran = here("token", action, token)
            assert (ran.code, ran.out) == (3, "")
            assert "there is no token" in ran.err


def test_rotating_prints_another_text(here: Alone) -> None:
    first = created(here, "ci", "--scope", "admin")
    ran = here("token", "rotate", "ci")
    assert TEXT.fullmatch(ran.out)
    assert ran.out.strip() != first
    assert re.search(r"the one before works until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n$", ran.err)
    assert here("token", "rotate", "1", "--overlap", "0").err.endswith("the one before works no longer\n")


@pytest.mark.parametrize(
    ("arguments", "member"),
    [
        (("--name", "a b"), "/name"),
        (("--name", "a", "--scope", "write"), "/scopes"),
        (("--name", "a", "--expires", "soon"), "/expires_at"),
        (("--name", "a", "--scope", "admin", "--context", "a"), "/contexts"),
    ],
)
def test_bad_token_names_the_member(here: Alone, arguments: tuple[str, ...], member: str) -> None:
    ran = here("token", "create", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert f"error: {member}: " in ran.err


def test_taken_name_fails(here: Alone) -> None:
    created(here, "ci")
    ran = here("token", "create", "--name", "ci")
    assert (ran.code, ran.out) == (1, "")
    assert "there is a token named ci already" in ran.err


def test_database_may_be_named(here: Alone) -> None:
    created(here, "ci", "--db", f"sqlite:///{here.folder}/other.db")
    assert sorted(path.name for path in here.folder.glob("*.db")) == ["other.db"]


def test_server_and_database_exclude_each_other(here: Alone) -> None:
    ran = here("token", "list", "--server", "http://127.0.0.1:9", "--db", "sqlite:///x.db")
    assert ran.code == 2
    assert "not both" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_database_of_another_user_is_left_to_its_server(here: Alone) -> None:
    created(here, "ci")
    (here.folder / "queue-server.db").chmod(0o000)
    assert here("token", "list").code == 5


# At the server.


def test_commands_ask_the_server_that_has_the_database(here: Alone, started: subprocess.Popen[bytes]) -> None:
    port = int((here.folder / "queue-server.toml").read_text().split("=")[1])
    _wait_for(started, port)
    text = created(here, "ops", "--scope", "admin")
    refused = here("token", "list")
    assert (refused.code, refused.out) == (4, "")
    assert "QUEUE_SERVER_TOKEN" in refused.err
    ran = here("token", "list", QUEUE_SERVER_TOKEN=text)
    assert ran.out.startswith("1\tops\tactive\tadmin\t")
    assert "directly" not in ran.err
    reader = created(here, "ci", "--scope", "read", QUEUE_SERVER_TOKEN=text)
    for arguments in (("list",), ("create", "--name", "x"), ("revoke", "1"), ("show", "1"), ("rotate", "1")):
        assert here("token", *arguments, QUEUE_SERVER_TOKEN=reader).code == 4
    assert here("ls", "--server", f"http://127.0.0.1:{port}", QUEUE_SERVER_TOKEN=reader).code == 0
    rotated = here("token", "rotate", "ci", "--overlap", "0", QUEUE_SERVER_TOKEN=text)
    assert TEXT.fullmatch(rotated.out)
    assert here("ls", "--server", f"http://127.0.0.1:{port}", QUEUE_SERVER_TOKEN=reader).code == 4
    assert here("token", "show", "ci", "-o", "ndjson", QUEUE_SERVER_TOKEN=text).out.count("\n") == 1
    assert here("token", "revoke", "ci", QUEUE_SERVER_TOKEN=text).code == 0
    for token in ("ci", "99"):
        assert here("token", "show", token, QUEUE_SERVER_TOKEN=text).code == 3
    assert here("token", "create", "--name", "ops", QUEUE_SERVER_TOKEN=text).code == 1
    assert here("token", "list", "--revoked", "-o", "id", QUEUE_SERVER_TOKEN=text).out == "2\n1\n"


def test_server_that_listens_elsewhere_than_the_settings_say_has_to_be_named(
    here: Alone, started: subprocess.Popen[bytes]
) -> None:
    settings = here.folder / "queue-server.toml"
    port = int(settings.read_text().split("=")[1])
    _wait_for(started, port)
    settings.write_text(f"port = {free_port()}\n")
    refused = here("token", "list")
    assert (refused.code, "open" in refused.err, "--server" in refused.err) == (5, True, True), refused
    assert here("token", "list", "--server", f"http://127.0.0.1:{port}").code == 0


def test_token_made_without_a_server_opens_it_later(here: Alone, tmp_path: Path) -> None:
    text = created(here, "ops", "--scope", "admin", "--db", f"sqlite:///{tmp_path}/q.db")
    server = Server(tmp_path)
    server.start()
    try:
        url = {"QUEUE_SERVER_URL": server.url}
        assert here("stats", **url).code == 4
        assert here("stats", QUEUE_SERVER_TOKEN=text, **url).code == 0
        assert here("stats", QUEUE_SERVER_TOKEN="qs_wrong", **url).code == 4
    finally:
        server.stop()


def test_server_that_is_there_is_asked_before_a_database_is_made(here: Alone, stub: Stub) -> None:
    (here.folder / "queue-server.toml").write_text(f"port = {stub.url.rpartition(':')[2]}\n")
    here("token", "list")
    assert [asked.path for asked in stub.asked] == ["/v1/tokens"]
    assert not (here.folder / "queue-server.db").exists()


def test_token_is_sent_as_a_bearer(qs: CommandLine, stub: Stub) -> None:
    qs("token", "revoke", "7", QUEUE_SERVER_TOKEN="qs_mine")
    assert {asked.headers.get("authorization") for asked in stub.asked} == {"Bearer qs_mine"}


def test_unreachable_server_is_told(qs: CommandLine) -> None:
    ran = qs("token", "list", "--server", f"http://127.0.0.1:{free_port()}")
    assert (ran.code, ran.out) == (5, "")


@pytest.mark.parametrize("name", ["create", "list", "show", "revoke", "rotate"])
def test_help_of_each_command_loads_nothing_slow(name: str) -> None:
    program = (
        "import sys\n"
        "from queue_server.cli.main import main\n"
        f"main(('token', {name!r}, '--help'))\n"
        "slow = {'rich', 'asyncio', 'starlette', 'uvicorn', 'uvloop', 'structlog', 'apsw', 'pyreqwest'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=20)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    def is_ready() -> bool:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    until(is_ready, 20, "the server's start")
