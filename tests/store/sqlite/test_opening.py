import asyncio
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from queue_server.clock import ServerClock
from queue_server.config.settings import Settings
from queue_server.domain.errors import InvalidSetting, StoreRefused
from queue_server.store.open import migrate, open_store, sqlite_path
from queue_server.store.sqlite import checkpoints, connection
from queue_server.store.sqlite.connection import APPLICATION_ID, migrate_file, open_reader, open_writer
from queue_server.store.sqlite.lock import FileLock, file_system_of, refuse_network_file_system
from queue_server.store.sqlite.store import SqliteStore
from tests.builders.jobs import HTTP, NOW, decided, new_job
from tests.builders.processes import started
from tests.builders.stores import SqliteBackend, claim_all, opened
from tests.support.mounts import make_read_only, small_disk

STEPS = ["0001 initial", "0002 life_of_a_job", "0003 safety"]
OPENS_AND_WAITS = Path(__file__).parent / "programs" / "opens_and_waits.py"


async def refusal(path: Path) -> str:
    """Why a file can't be opened: one line for a person."""
    with pytest.raises(StoreRefused) as caught:
        await SqliteBackend(path.parent).open() if path.name == "queue.db" else _open(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    return message


def _open(path: Path) -> SqliteStore:

    return SqliteStore(path, ServerClock(), asyncio.get_running_loop())


# How connections are set up.


def test_writer_is_durable(path):
    with closing(open_writer(path)) as database:
        assert database.pragma("journal_mode") == "wal"
        assert database.pragma("synchronous") == 2
        assert database.pragma("wal_autocheckpoint") == 0, "see checkpoints.py"
        assert database.pragma("application_id") == APPLICATION_ID


def test_reader_can_neither_write_nor_checkpoint(path):
    with closing(open_writer(path)), closing(open_reader(path)) as reader:
        assert reader.pragma("wal_autocheckpoint") == 0
        with pytest.raises(apsw.ReadOnlyError):
            reader.execute("insert into node (name, slots, started_at, beat_at) values ('', 0, 0, 0)")


async def test_only_the_writer_writes_and_checkpoints(disk, backend, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", 100)
    async with opened(backend) as store:
        del disk.accesses[:]
        for _ in range(3):
            ids = await store.add([new_job() for _ in range(5000)])
            assert (await asyncio.gather(*(store.get(job_id) for job_id in ids[:20])))[0] is not None
        before_close = list(disk.accesses)
    assert any(access.file == "" for access in before_close), "there was a checkpoint"
    assert {access.thread for access in before_close} == {"sqlite-writer"}
    readers = {access.thread for access in disk.accesses if "reader" in access.thread}
    assert not readers


async def test_each_acknowledged_add_was_synced(disk, store):
    for count in range(1, 6):
        before = disk.syncs("-wal")
        await store.add([new_job()] * count)
        assert disk.syncs("-wal") == before + 1


async def test_each_acknowledged_end_was_synced(disk, store, node):
    await store.add([new_job(callback_done=HTTP)])
    jobs = await claim_all(store, node)
    before = disk.syncs("-wal")
    await store.turn([decided(job) for job in jobs], None)
    assert disk.syncs("-wal") == before + 1


def test_library_with_the_wal_bug_is_refused(path, monkeypatch):
    monkeypatch.setattr(connection, "FIRST_SAFE_VERSION", (99, 0, 0))
    with pytest.raises(StoreRefused, match="can corrupt data in WAL mode; install apsw"):
        open_writer(path)


# One server per file.


async def test_second_store_on_the_file_is_refused(store, path):
    assert "is in use by another Queue Server (process " in await refusal(path)
    assert await store.counts()


async def test_file_is_free_after_close(backend):
    for _ in range(3):
        async with opened(backend):
            pass


async def test_file_is_free_after_a_failed_start(backend, path):
    path.write_bytes(b"this is no database, and it is long enough to be seen as none" * 20)
    await refusal(path)
    path.unlink()
    async with opened(backend):
        pass


def test_other_process_is_refused_and_told_who_has_the_file(path):
    with started(OPENS_AND_WAITS, path) as first, started(OPENS_AND_WAITS, path) as second:
        lines = first.stdout.readline(), second.stdout.readline()
        loser, winner = (second, first) if lines[0] == b"open\n" else (first, second)
        (line,) = set(lines) - {b"open\n"}
        assert line.decode().startswith(f"refused: {path} is in use by another Queue Server (process ")
        assert loser.wait(10) == 1
        assert loser.stdout.read() == b""
        winner.stdin.close()
        assert winner.wait(10) == 0


async def test_holder_is_named_by_its_process_id(backend, path):
    with started(OPENS_AND_WAITS, path) as holder:
        assert holder.stdout.readline() == b"open\n"
        assert f"(process {holder.pid})" in await refusal(path)


async def test_file_is_free_when_its_process_was_killed(backend, path):
    with started(OPENS_AND_WAITS, path) as holder:
        assert holder.stdout.readline() == b"open\n"
        holder.kill()
        holder.wait(10)
        async with opened(backend) as store:
            assert await store.counts()


def test_migration_of_a_file_in_use_is_refused(path):
    lock = FileLock(path)
    with pytest.raises(StoreRefused, match="is in use by another Queue Server"):
        migrate_file(path)
    lock.release()
    assert migrate_file(path) == STEPS
    assert migrate_file(path) == []


# Files that can't be used.


async def test_database_of_a_newer_version_is_refused(path):
    with closing(open_writer(path)) as database:
        database.pragma("user_version", 999)
    assert "has schema version 999, this Queue Server knows up to" in await refusal(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("pragma user_version").fetchone() == (999,)


async def test_database_of_another_program_is_refused_and_left_alone(path):
    with closing(sqlite3.connect(path)) as database:
        database.executescript("create table theirs (x); insert into theirs values (1)")
    before = path.read_bytes()
    assert "is a database of another program; give Queue Server its own file" in await refusal(path)
    assert path.read_bytes() == before


async def test_file_that_is_no_database_is_refused_and_left_alone(path):
    path.write_text("Dear diary, " * 500)
    assert "is not an SQLite database" in await refusal(path)
    assert path.read_text() == "Dear diary, " * 500
    with pytest.raises(StoreRefused, match="is not an SQLite database"):
        migrate_file(path)


async def test_damaged_database_is_refused(path):
    with closing(open_writer(path)):
        pass
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)
    assert re.search("is damaged|is not an SQLite database", await refusal(path))


async def test_empty_file_becomes_a_database(backend, path):
    path.touch()
    async with opened(backend) as store:
        assert await store.add([new_job()]) == [1]


async def test_missing_folder_is_named(tmp_path):
    assert "can't open" in await refusal(tmp_path / "missing" / "queue.db")


async def test_folder_in_the_files_place_is_named(path):
    path.mkdir()
    assert "can't open" in await refusal(path)


async def test_file_that_cannot_be_written_is_refused(backend, path):
    """The tester may be root, for whom permissions mean nothing: the file is made immutable."""
    async with opened(backend):
        pass
    done = subprocess.run(["chattr", "+i", path], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"files can't be made immutable here: {done.stderr.decode().strip()}")
    try:
        assert "is read-only; the server needs to write" in await refusal(path)
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


async def test_disk_that_cannot_be_written_is_refused(tmp_path):
    with small_disk(tmp_path / "disk") as folder:
        async with opened(SqliteBackend(folder)):
            pass
        make_read_only(folder)
        assert "the server needs to write there" in await refusal(folder / "queue.db")


async def test_lock_of_another_program_is_named(path, monkeypatch):
    class Impatient(apsw.Connection):
        def set_busy_timeout(self, _: int) -> None:
            super().set_busy_timeout(0)

    with closing(open_writer(path)) as other:
        other.execute("begin immediate")
        monkeypatch.setattr(apsw, "Connection", Impatient)
        assert "is locked by another program" in await refusal(path)


# Network file systems.

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/share /mnt/nfs nfs4 rw 0 0
tmpfs /mnt/nfs/local tmpfs rw 0 0
systemd-1 /mnt/auto autofs rw 0 0
server:/share /mnt/auto afs rw 0 0
//server/share /mnt/my\\040share cifs rw 0 0
server:/x /over nfs rw 0 0
/dev/sdb1 /over ext4 rw 0 0
broken line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home/queue", "ext4"),
        ("/mnt/nfs", "nfs4"),
        ("/mnt/nfs/deep/er", "nfs4"),
        ("/mnt/nfsx", "ext4"),
        ("/mnt/nfs/local/x", "tmpfs"),
        ("/mnt/auto/x", "afs"),
        ("/mnt/my share/x", "cifs"),
        ("/over/x", "ext4"),
    ],
)
def test_file_system_is_that_of_the_longest_and_last_mount_point(tmp_path, folder, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert file_system_of(Path(folder), mounts) == kind


def test_file_system_is_that_behind_a_symbolic_link(tmp_path):
    real, link, mounts = tmp_path / "real", tmp_path / "link", tmp_path / "mounts"
    real.mkdir()
    link.symlink_to(real)
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {real} nfs rw 0 0\n")
    assert file_system_of(link, mounts) == "nfs"


def test_file_system_is_unknown_where_mounts_cannot_be_read(tmp_path):
    assert file_system_of(tmp_path, tmp_path / "missing") == ""
    (tmp_path / "mounts").write_text("")
    assert file_system_of(tmp_path, tmp_path / "mounts") == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "fuse.sshfs"])
def test_network_file_system_is_refused(path, monkeypatch, kind):
    monkeypatch.setattr("queue_server.store.sqlite.lock.file_system_of", lambda *_: kind)
    with pytest.raises(StoreRefused, match=rf"is on a network file system \({kind}\), where SQLite can lose data"):
        refuse_network_file_system(path)
    with pytest.raises(StoreRefused, match="network file system"):
        migrate_file(path)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", ""])
def test_local_file_system_is_accepted(path, monkeypatch, kind):
    monkeypatch.setattr("queue_server.store.sqlite.lock.file_system_of", lambda *_: kind)
    refuse_network_file_system(path)


# The db setting.


def test_db_setting_names_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sqlite_path("sqlite:///queue.db") == tmp_path / "queue.db"
    assert sqlite_path("sqlite:////var/lib/queue.db") == Path("/var/lib/queue.db")


@pytest.mark.parametrize("db", ["sqlite:///", "sqlite://queue.db", "oracle://u:secret@host/db", "queue.db", ""])
def test_db_setting_of_another_kind_is_refused_without_its_secrets(db):
    with pytest.raises(InvalidSetting, match="is not supported; use sqlite:///FILE, ") as caught:
        sqlite_path(db)
    assert "secret" not in str(caught.value)


async def test_store_is_opened_and_migrated_by_the_setting(tmp_path):
    settings = Settings(db=f"sqlite:///{tmp_path}/queue.db")
    assert migrate(settings) == STEPS
    store = await open_store(settings, ServerClock())
    assert (await store.register("here", 1, NOW)).id == 1
    await store.close()


async def test_new_file_and_its_log_are_their_owners_alone(tmp_path):
    async with opened(SqliteBackend(tmp_path)) as store:
        await store.add([new_job()])
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert len(modes) >= 3
    assert set(modes.values()) == {0o600}
