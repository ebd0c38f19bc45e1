"""`migrate --from --to`: nothing is lost, nothing is mixed, and what was cut off goes on."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import apsw
import pytest

from queue_server.clock import SystemClock
from queue_server.domain.state import State
from queue_server.store.contract import Store
from queue_server.store.moving import ONCE, TABLES
from tests.builders.jobs import DAY, NOW, SECOND, new_job, once
from tests.cli.running import CommandLine
from tests.moving.databases import KINDS, with_store
from tests.moving.files import rows_in
from tests.moving.filling import HOSTILE, dumped, fill
from tests.support.server import Server
from tests.support.waiting import until

USUAL = (("sqlite", "sqlite"), ("sqlite", "postgres"), ("postgres", "mysql"), ("mysql", "sqlite"))
"""Each kind as a source and as a target."""

PAIRS = [
    pytest.param(*pair, marks=() if pair in USUAL else pytest.mark.long) for pair in itertools.product(KINDS, KINDS)
]
JOBS = 6000
"""More than a process moves before it is killed."""

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
    left = len(before["once"]) if to_kind == "sqlite" != from_kind else 0
    told = {line.split("\t")[0]: line.split("\t")[1:] for line in ran.out.splitlines()}
    arrived = {**before, "once": before["once"][left:]}
    assert {name: int(columns[0]) for name, columns in told.items()} == {
        it.name: len(arrived[it.name]) for it in TABLES
    }
    assert told["once"][1] == str(left or "")
    assert dumped(source) == before
    assert dumped(target) == arrived
    again = qs("migrate", "--from", source, "--to", target)
    assert (again.code, "has rows of its own in the table" in again.err) == (1, True)


def test_a_target_that_has_jobs_is_refused_and_stays_as_it_is(make: Make, qs: CommandLine) -> None:
    source, target = make("sqlite"), make("sqlite")
    with_store(source, fill)

    async def add(store: Store) -> None:
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


@pytest.mark.parametrize("kind", ["sqlite", "postgres", pytest.param("mysql", marks=pytest.mark.long)])
def test_a_move_that_was_killed_goes_on_and_loses_nothing(make: Make, qs: CommandLine, kind: str) -> None:
    source, target = make("sqlite"), make(kind)
    with_store(source, lambda store: fill(store, JOBS))
    before = dumped(source)
    kill_in_the_middle(qs, source, target)
    assert 0 < rows_in(target, "payload") < len(before["payload"])
    assert qs("migrate", "--from", source, "--to", target).code == 0
    assert dumped(target) == before


@pytest.mark.parametrize("worked_on", ["source", "target"])
def test_a_move_does_not_go_on_once_a_server_has_worked_on_either_side(
    make: Make, qs: CommandLine, worked_on: str
) -> None:
    databases = {"source": make("sqlite"), "target": make("sqlite")}
    with_store(databases["source"], lambda store: fill(store, JOBS))
    kill_in_the_middle(qs, **databases)

    async def work(store: Store) -> None:
        await store.register("web1", 10, NOW)

    with_store(databases[worked_on], work)
    ran = qs("migrate", "--from", databases["source"], "--to", databases["target"])
    assert (ran.code, "a server has worked on" in ran.err) == (1, True), ran.err


def kill_in_the_middle(qs: CommandLine, source: str, target: str) -> None:
    process = qs.start("migrate", "--from", source, "--to", target)
    until(lambda: rows_in(target, "payload"), 20, "the first plans")
    process.kill()
    process.communicate(timeout=10)


def test_a_source_with_an_old_schema_is_to_be_migrated_first(qs: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(apsw.Connection(str(path))) as database:
        database.execute("pragma user_version = 1")
    ran = qs("migrate", "--from", f"sqlite:///{path}", "--to", f"sqlite:///{tmp_path}/new.db")
    assert ran.code == 1
    assert f"run `queue-server migrate --db sqlite:///{path}` first" in ran.err


A, B = "sqlite:///a.db", "sqlite:///b.db"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--from", A), 2, "belong together"),
        (("--to", A), 2, "belong together"),
        (("--from", A, "--to", B, "--db", A), 2, "--from and --to name two"),
        (("--from", A, "--to", B), 1, "there is no file"),
        (("--from", "postgresql://root@127.0.0.1:1/x", "--to", B), 1, "the database x on 127.0.0.1:1 can't be used"),
        (("--from", "mysql://root@127.0.0.1:1/x", "--to", B), 1, "the database x on 127.0.0.1:1 can't be used"),
    ],
)
def test_mistakes_are_told(qs: CommandLine, arguments: tuple[str, ...], code: int, says: str) -> None:
    ran = qs("migrate", *arguments)
    assert (ran.code, says in ran.err) == (code, True), ran.err


def test_a_target_that_can_not_be_written_is_told(make: Make, qs: CommandLine) -> None:
    with_store(source := make("sqlite"), fill)
    ran = qs("migrate", "--from", source, "--to", "sqlite:////no/folder/b.db")
    assert (ran.code, ran.err) == (1, "error: can't write /no/folder/b.db: No such file or directory\n")


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_goes_on_where_the_moved_one_stopped(make: Make, qs: CommandLine, kind: str) -> None:
    source, target = make("sqlite"), make(kind)
    with_store(source, fill)
    assert qs("migrate", "--from", source, "--to", target).code == 0
    found: dict[str, object] = {}

    async def look(store: Store) -> None:
        node = await store.register("web1", 10, NOW)
        counts = await store.counts()
        running = await store.expired(NOW + DAY, 15 * SECOND, 100)
        found.update(node=node.id, counts=counts, lost={job.id for job in running}, next=await store.add([new_job()]))
        repeated = await store.add_once([new_job(once=once(f"key {HOSTILE}"))])
        found.update(repeated=(list(repeated.ids), len(repeated.replayed)))
        found.update(token=[token.name for token in await store.tokens()])

    with_store(target, look)
    rows = dumped(source)["job"]
    states = Counter(row[1] for row in rows)
    assert found["counts"] == {state: states.get(state, 0) for state in State}
    assert found["lost"] == {row[0] for row in rows if row[1] == "running"} != set()
    assert (found["node"], found["next"]) == (2, [43])
    assert (found["repeated"], found["token"]) == (([41], 1), ["app"])


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_database_that_nodes_work_on_is_neither_source_nor_target(make: Make, qs: CommandLine, kind: str) -> None:
    used, other = make(kind), make("sqlite")
    with_store(other, fill)

    async def work(store: Store) -> None:
        clock_now = SystemClock().now()
        await store.register("web1", 10, clock_now)
        for arguments in (("--from", used, "--to", make("sqlite")), ("--from", other, "--to", used)):
            ran = await asyncio.to_thread(qs, "migrate", *arguments)
            assert (ran.code, "web1 works on it, or did 15 s ago; stop all servers" in ran.err) == (1, True), ran.err

    with_store(used, work)
