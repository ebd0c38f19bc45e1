"""`migrate --from --to`: nothing is lost, nothing is mixed, and what was cut off goes on."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import apsw
import pytest

from queue_server.store.moving import ONCE, TABLES
from tests.builders.jobs import NOW, new_job
from tests.cli.running import CommandLine
from tests.moving.databases import KINDS, with_store
from tests.moving.files import rows_in
from tests.moving.filling import dumped, fill
from tests.support.server import Server
from tests.support.waiting import until

PAIRS = [*itertools.product(KINDS, KINDS)]
Make = Callable[[str], str]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes empty databases by their kind; what names them."""
    with ExitStack() as stack:
        yield lambda kind: stack.enter_context(KINDS[kind](tmp_path))


@pytest.fixture
def qs(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.mark.parametrize(("from_kind", "to_kind"), PAIRS)
def test_a_store_arrives_as_it_was_and_its_jobs_go_on(
    make: Make, qs: CommandLine, from_kind: str, to_kind: str
) -> None:
    source, target = make(from_kind), make(to_kind)
    with_store(source, fill)
    before = dumped(source)
    ran = qs("migrate", "--from", source, "--to", target)
    assert ran.code == 0, ran.err
    counts = dict(line.split("\t")[:2] for line in ran.out.splitlines())
    assert counts == {table.name: str(len(before[table.name])) for table in TABLES}
    assert dumped(target) == dumped(source) == before
    again = qs("migrate", "--from", source, "--to", target)
    assert (again.code, "has rows of its own in the table" in again.err) == (1, True)


def test_a_target_that_has_jobs_is_refused_and_stays_as_it_is(make: Make, qs: CommandLine) -> None:
    source, target = make("sqlite"), make("sqlite")
    with_store(source, fill)

    async def add(store: object) -> None:
        await store.add([new_job()])

    with_store(target, add)
    before = dumped(target)
    ran = qs("migrate", "--from", source, "--to", target)
    assert ran.code == 1
    assert f"{target.removeprefix('sqlite:///')} has rows of its own in the table job" in ran.err
    assert dumped(target) == before


def test_a_source_that_a_server_has_is_refused(make: Make, qs: CommandLine, tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    server = Server(home).start()
    try:
        ran = qs("migrate", "--from", f"sqlite:///{server.db}", "--to", make("sqlite"))
    finally:
        server.stop()
    assert ran.code == 1
    assert f"{server.db} is in use by another Queue Server" in ran.err


def test_a_move_that_was_killed_goes_on_and_loses_nothing(make: Make, qs: CommandLine) -> None:
    source, target = make("sqlite"), make("sqlite")
    with_store(source, lambda store: fill(store, 12_000))
    before = dumped(source)
    process = qs.start("migrate", "--from", source, "--to", target)
    path = Path(target.removeprefix("sqlite:///"))
    until(lambda: rows_in(path, "payload"), 20, "the first plans")
    process.kill()
    process.communicate(timeout=10)
    assert 0 < rows_in(path, "payload") < len(before["payload"])
    assert qs("migrate", "--from", source, "--to", target).code == 0
    assert dumped(target) == before


def test_a_move_does_not_go_on_once_a_server_has_worked_on_either_side(make: Make, qs: CommandLine) -> None:
    for worked_on in ("source", "target"):
        databases = {"source": make("sqlite"), "target": make("sqlite")}
        with_store(databases["source"], lambda store: fill(store, 12_000))
        arguments = ("migrate", "--from", databases["source"], "--to", databases["target"])
        process = qs.start(*arguments)
        path = Path(databases["target"].removeprefix("sqlite:///"))
        until(lambda path=path: rows_in(path, "payload"), 20, "the first plans")
        process.kill()
        process.communicate(timeout=10)

        async def work(store: object) -> None:
            await store.register("web1", 10, NOW)

        with_store(databases[worked_on], work)
        ran = qs(*arguments)
        assert (ran.code, "a server has worked on" in ran.err) == (1, True), ran.err


def test_a_source_with_an_old_schema_is_to_be_migrated_first(qs: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(apsw.Connection(str(path))) as database:
        database.execute("pragma user_version = 1")
    ran = qs("migrate", "--from", f"sqlite:///{path}", "--to", f"sqlite:///{tmp_path}/new.db")
    assert ran.code == 1
    assert f"run `queue-server migrate --db sqlite:///{path}` first" in ran.err


@pytest.mark.parametrize("arguments", [("--from", "sqlite:///a.db"), ("--to", "sqlite:///a.db")])
def test_one_of_the_two_databases_alone_is_a_mistake(qs: CommandLine, arguments: tuple[str, ...]) -> None:
    ran = qs("migrate", *arguments)
    assert (ran.code, "belong together" in ran.err) == (2, True)


def test_every_table_and_column_of_the_schema_moves_or_is_known_to_stay(make: Make) -> None:
    db = make("sqlite")
    with_store(db, fill)
    with closing(apsw.Connection(db.removeprefix("sqlite:///"))) as database:
        names = {row[0] for row in database.execute("select name from sqlite_schema where type = 'table'")}
        assert names - {"node", "sequence", "sqlite_sequence", "sqlite_stat1"} == {table.name for table in TABLES}
        for table in TABLES:
            columns = [row[1] for row in database.execute(f"pragma table_info({table.name})")]
            assert sorted(columns) == sorted(table.columns)
    assert ONCE in TABLES
