"""`backup`: a whole, checked copy while the server works."""

import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.cli.running import CommandLine
from tests.support.fixtures import make_server
from tests.support.server import Server, running

__all__ = ["make_server"]


@pytest.fixture
def qs(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def ids_in(path: Path) -> list[int]:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as database:
        return [row[0] for row in database.execute("select id from job order by id")]


def test_a_copy_made_while_jobs_are_added_is_whole_and_starts(qs: CommandLine, tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    copy = tmp_path / "copy" / "q.db"
    copy.parent.mkdir()
    with running(home) as server:
        known = [add(server) for _ in range(20)]
        is_over = threading.Event()
        adder = threading.Thread(target=lambda: [add(server) for _ in iter(is_over.is_set, True)])
        adder.start()
        try:
            ran = qs("backup", str(copy), "--db", f"sqlite:///{server.db}")
        finally:
            is_over.set()
            adder.join()
        last = add(server)
    assert ran.code == 0, ran.err
    found = ids_in(copy)
    assert found == list(range(1, len(found) + 1))
    assert len(known) <= len(found) < last
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in copy.parent.iterdir()] == ["q.db"]
    with running(copy.parent) as restored:
        assert restored.job(1)["state"] == "scheduled"
        assert add(restored) == found[-1] + 1


def test_a_file_that_is_there_is_replaced_only_by_force(qs: CommandLine, tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    (copy := tmp_path / "copy.db").write_bytes(b"precious")
    with running(home) as server:
        add(server)
        arguments = ("backup", str(copy), "--db", f"sqlite:///{server.db}")
        ran = qs(*arguments)
        assert (ran.code, copy.read_bytes()) == (1, b"precious")
        assert "name another file, or replace it with --force" in ran.err
        assert qs(*arguments, "--force").code == 0
        onto_itself = qs("backup", str(server.db), "--force", "--db", f"sqlite:///{server.db}")
        assert onto_itself.code == 1
        assert server.job(1)["id"] == 1
    assert ids_in(copy) == [1]


def test_the_key_is_named_as_what_the_copy_lacks(qs: CommandLine, tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.call("PUT", "/v1/secrets/api", {"value": "x"})
        headers = {"X": {"secret": "s3cret"}}
        server.add({"type": "http", "url": "http://127.0.0.1:9/", "headers": headers}, delay=1000)
        ran = qs("backup", "copy.db", "--db", f"sqlite:///{server.db}")
    assert f"keep a copy of {tmp_path}/q.db.key" in ran.err


@pytest.mark.parametrize(("db", "tool"), [("postgresql://h/q", "pg_dump"), ("mysql://h/q", "mariadb-dump")])
def test_other_databases_have_their_own_tools(qs: CommandLine, db: str, tool: str) -> None:
    ran = qs("backup", "x", "--db", db)
    assert (ran.code, tool in ran.err) == (1, True)


def test_what_can_not_be_copied_or_written_is_told_and_leaves_nothing(qs: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"no database at all, but long enough to be one" * 100)
    for db, target, says in (
        ("nothing.db", "copy.db", "there is no database"),
        ("other.db", "copy.db", "is not an SQLite database"),
    ):
        ran = qs("backup", target, "--db", f"sqlite:///{tmp_path}/{db}")
        assert (ran.code, says in ran.err) == (1, True), ran.err
    with running(tmp_path) as server:
        ran = qs("backup", "no/folder/copy.db", "--db", f"sqlite:///{server.db}")
    assert (ran.code, "can't write" in ran.err) == (1, True)
    assert not list(tmp_path.glob("*.part"))


def add(server: Server) -> int:
    return server.add({"type": "http", "url": "http://127.0.0.1:9/"}, delay=10_000)
