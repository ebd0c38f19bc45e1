import importlib.util
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from queue_server.domain.errors import StoreRefused
from queue_server.store import migrations
from queue_server.store.migrations import Migration, load_migrations, pending
from queue_server.store.sqlite import connection
from queue_server.store.sqlite.connection import MIGRATIONS, migrate, open_writer

ROOT = Path(__file__).parents[3]


def _tool():
    spec = importlib.util.spec_from_file_location("schema", ROOT / "tools" / "schema.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_committed_schema_is_what_the_migrations_make():
    tool = _tool()
    assert tool.schema_file().read_text("utf-8") == tool.schema(), "run tools/schema.py"


def test_committed_schema_makes_the_same_database(path):
    with closing(open_writer(path)) as migrated, closing(apsw.Connection(":memory:")) as dumped:
        dumped.execute(_tool().schema_file().read_text("utf-8"))
        query = "select type, name, tbl_name, sql from sqlite_schema order by 1, 2"
        assert list(dumped.execute(query)) == list(migrated.execute(query))


def test_migrations_are_numbered_without_gaps():
    found = load_migrations(MIGRATIONS)
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert found[0].name == "initial"


def test_gap_in_the_numbers_is_refused(tmp_path, monkeypatch):
    (tmp_path / "0001_initial.sql").write_text("")
    (tmp_path / "0003_later.sql").write_text("")
    (tmp_path / "notes.txt").write_text("")
    monkeypatch.setattr(migrations, "files", lambda _: tmp_path)
    with pytest.raises(StoreRefused, match="are not numbered 1, 2, 3"):
        load_migrations("anything")


STEPS = [Migration(1, "a", ""), Migration(2, "b", ""), Migration(3, "c", "")]


@pytest.mark.parametrize(("version", "left"), [(0, "abc"), (1, "bc"), (3, "")])
def test_pending_migrations_are_those_after_the_version(version, left):
    assert [step.name for step in pending(STEPS, version, "here")] == list(left)


def test_newer_version_is_refused():
    with pytest.raises(StoreRefused, match=r"^here has schema version 4, this Queue Server knows up to 3; start "):
        pending(STEPS, 4, "here")


def test_migration_that_fails_leaves_the_step_before(path, monkeypatch):
    good = Migration(1, "good", "create table a (x)")
    bad = Migration(2, "bad", "create table b (x); create table a (x)")
    monkeypatch.setattr(connection, "load_migrations", lambda _: [good, bad])
    with closing(apsw.Connection(str(path))) as database:
        with pytest.raises(apsw.SQLError):
            migrate(database, path)
        assert database.pragma("user_version") == 1
        assert [name for (name,) in database.execute("select name from sqlite_schema")] == ["a"]
        assert not database.in_transaction
