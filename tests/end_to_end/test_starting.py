"""A server that can't start says why in one line and touches nothing."""

import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.fixtures import Starter
from tests.support.mounts import make_read_only, small_disk
from tests.support.server import PROGRAM, Server
from tests.support.target import Target


def refused(folder: Path, db: Path | str, *flags: str) -> str:
    """The one line of a server that does not start; its exit code must be 1."""
    done = subprocess.run(
        (*PROGRAM, "serve", "--port", "0", "--db", f"sqlite:///{db}", *flags),
        capture_output=True,
        cwd=folder,
        timeout=30,
        check=False,
    )
    lines = done.stderr.decode().splitlines()
    assert done.stdout == b""
    assert len(lines) == 1, done.stderr.decode()
    assert done.returncode == 1
    return lines[0]


def test_port_in_use_is_one_line_and_exit_1(server: Server, tmp_path: Path) -> None:
    line = refused(tmp_path, tmp_path / "q.db", "--port", str(server.port))
    assert str(server.port) in line
    assert "in use" in line
    assert not (tmp_path / "q.db").exists()


def test_socket_in_use_is_one_line_and_names_the_flag(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "s"))
        taken.listen()
        line = refused(tmp_path, tmp_path / "q.db", "--host", f"unix:{tmp_path}/s")
    assert "in use; choose another with --host" in line


def test_second_server_on_the_file_is_one_line_and_exit_1(server: Server, tmp_path: Path) -> None:
    line = refused(tmp_path, server.db)
    assert f"in use by another Queue Server (process {server.pid})" in line
    assert server.call("GET", "/readyz").status == 200


def test_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear Ann,\n" * 500)
    before = file.read_bytes()
    assert "not an SQLite database" in refused(tmp_path, file)
    assert file.read_bytes() == before


def test_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript("create table orders (id integer primary key); insert into orders values (1);")
    before = file.read_bytes()
    assert "another program" in refused(tmp_path, file)
    assert file.read_bytes() == before


def test_database_of_a_newer_version_is_refused_and_left_alone(make_server: Starter, tmp_path: Path) -> None:
    server = make_server().start()
    assert server.stop() == 0
    with closing(sqlite3.connect(server.db)) as database:
        database.execute("pragma user_version = 999")
        database.execute("pragma wal_checkpoint(truncate)")
    before = server.db.read_bytes()
    assert "schema version 999" in refused(tmp_path, server.db)
    assert server.db.read_bytes() == before


def test_damaged_database_is_refused_with_what_to_do(make_server: Starter, tmp_path: Path) -> None:
    server = make_server().start()
    assert server.stop() == 0
    with server.db.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 8000)
    before = server.db.read_bytes()
    assert "damaged" in refused(tmp_path, server.db)
    assert server.db.read_bytes() == before


def test_read_only_disk_is_one_line(make_server: Starter, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        server = make_server(folder=disk).start()
        assert server.stop() == 0
        before = server.db.read_bytes()
        make_read_only(disk)
        line = refused(tmp_path, server.db)
        assert str(disk) in line
        assert server.db.read_bytes() == before
        server.log_file = tmp_path / "log"
        server.log_file.touch()


def test_missing_folder_is_one_line(tmp_path: Path) -> None:
    assert "No such file or directory" in refused(tmp_path, tmp_path / "no" / "q.db")


def test_folder_as_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "q.db").mkdir()
    assert str(tmp_path / "q.db") in refused(tmp_path, tmp_path / "q.db")


@pytest.mark.parametrize("host", ["999.1.1.1", "nowhere.invalid", "203.0.113.7"])
def test_address_that_is_not_this_machines_is_one_line(tmp_path: Path, host: str) -> None:
    assert host in refused(tmp_path, tmp_path / "q.db", "--host", host)


def test_address_line_is_written_when_clients_can_connect(make_server: Starter, target: Target, path: str) -> None:
    for _ in range(2):
        server = make_server().start()
        assert server.call("GET", "/healthz").status == 200  # at once, without a second try
