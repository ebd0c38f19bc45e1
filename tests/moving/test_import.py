"""`import`: every row of the first Queue Server's table becomes a job, or is told of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queue_server.domain.state import State
from queue_server.store.contract import Store
from tests.cli.running import CommandLine, Ran
from tests.moving.databases import KINDS, with_store
from tests.moving.files import rows_in
from tests.moving.filling import dumped
from tests.moving.first_table import OTHER_TABLE, contents, first_server, job, put
from tests.support.databases import run_sql
from tests.support.server import Server, running
from tests.support.target import Reply, running_target
from tests.support.waiting import until

ADDED = "2019-03-31 12:00:00"
ENDED = "2019-03-31 12:00:05"


@pytest.fixture
def old() -> Iterator[str]:
    with first_server() as url:
        yield url


@pytest.fixture
def qs(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def taken(qs: CommandLine, old: str, *arguments: str, db: str = "new.db") -> Ran:
    ran = qs("import", "--from", old, "--db", f"sqlite:///{qs.folder}/{db}", *arguments)
    assert ran.code == 0, ran.err
    return ran


def counts(ran: Ran) -> dict[str, str]:
    return dict(line.split("\t") for line in ran.out.splitlines())


def jobs(qs: CommandLine, db: str = "new.db") -> dict[int, Any]:
    """The jobs that a server shows, which runs none of them."""
    (home := qs.folder / f"home {db}").mkdir(exist_ok=True)
    (qs.folder / db).rename(home / "q.db")
    with running(home, "--http-targets", "allowlist") as server:
        listed = server.get("/v1/jobs?sort=id&limit=100")["items"]
        found = {item["id"]: server.job(item["id"]) | {"output": output(server, item["id"])} for item in listed}
    (home / "q.db").rename(qs.folder / db)
    return found


def output(server: Server, job_id: int) -> bytes | None:
    answer = server.call("GET", f"/v1/jobs/{job_id}/output")
    return answer.body if answer.status == 200 else None


def test_each_kind_of_row_becomes_what_it_was(qs: CommandLine, old: str) -> None:
    times = {"time_added": ADDED}
    put(
        old,
        {
            "id": 5,
            "worker_status": 0,
            "job": job(run_at="2099-01-01T00:00:00Z"),
            "context": "shop",
            "priority": 7,
            **times,
        },
        {"id": 6, "worker_status": 1, "job": job(run_at="2099-01-01T00:00:00Z"), **times},
        {
            "id": 7,
            "worker_status": 3,
            "job": job(),
            "output": "gr\u00fcn\0",
            "return_code": 200,
            "time_completed": ENDED,
            **times,
        },
        {"id": 8, "worker_status": 99, "job": job(), "return_code": 500, "time_completed": ENDED, **times},
        {"id": 9, "worker_status": 2, "job": job(), "time_completed": ENDED, **times},
    )
    before = contents(old)
    ran = taken(qs, old, "--time-zone", "+02:00")
    assert counts(ran) == {
        "waiting": "1",
        "running there, waits again": "1",
        "done": "2",
        "failed": "1",
        "not taken over": "0",
    }
    assert contents(old) == before
    found = jobs(qs)
    assert [(id_, it["state"], it["priority"]) for id_, it in found.items()] == [
        (5, "scheduled", 7),
        (6, "scheduled", 500),
        (7, "completed", 500),
        (8, "failed", 500),
        (9, "completed", 500),
    ]
    assert found[5]["context"] == "shop"
    assert found[5]["created_at"] == "2019-03-31T10:00:00.000000Z"
    assert found[6]["reason"] == "it was running in the first Queue Server when it was taken over"
    assert (found[7]["exit_code"], found[7]["ended_at"]) == (200, "2019-03-31T12:00:05.000000Z")
    assert found[7]["output"] == "grün\0".encode()
    assert (found[8]["exit_code"], found[8]["attempt"]) == (500, 1)


def test_jobs_that_ran_there_may_have_failed_instead(qs: CommandLine, old: str) -> None:
    put(old, {"id": 1, "worker_status": 1, "job": job(), "time_added": ADDED})
    assert "running there, has failed\t1" in taken(qs, old, "--running", "fail").out
    (found,) = jobs(qs).values()
    assert (found["state"], found["outcome"]) == ("failed", "interrupted")


def test_taken_over_jobs_run_in_their_order_and_new_ids_are_above_all(qs: CommandLine, old: str) -> None:
    with running_target() as target:
        target.on("/x", Reply(200))
        rows = [(11, 500), (12, 900), (13, 500), (14, 900)]
        put(
            old,
            *(
                {"id": i, "priority": p, "job": job(f"{target.url}/x?job=__JOBID__"), "time_added": ADDED}
                for i, p in rows
            ),
        )
        put(old, {"id": 90, "worker_status": 3, "job": "{", "time_added": ADDED})
        taken(qs, old)
        (qs.folder / "new.db").rename(qs.folder / "q.db")
        with running(qs.folder, "--concurrency", "1") as server:
            seen = [request.query[0][1] for request in target.wait("/x", 4)]
            assert server.add({"type": "http", "url": f"{target.url}/x"}) == 91
    assert seen == ["12", "14", "11", "13"]


def test_a_second_run_changes_nothing_and_takes_only_what_is_new(qs: CommandLine, old: str) -> None:
    put(old, {"id": 1, "job": job(), "time_added": ADDED}, {"id": 2, "job": job(), "time_added": ADDED})
    taken(qs, old)
    before = dumped(f"sqlite:///{qs.folder}/new.db")
    assert counts(taken(qs, old)) == {"not taken over": "0"}
    assert dumped(f"sqlite:///{qs.folder}/new.db") == before
    put(old, {"id": 3, "job": job(), "time_added": ADDED})
    assert counts(taken(qs, old)) == {"waiting": "1", "not taken over": "0"}


def test_a_dry_run_counts_and_writes_nothing(qs: CommandLine, old: str) -> None:
    put(old, {"id": 1, "job": job()}, {"id": 2, "job": "x", "worker_status": 3})
    ran = taken(qs, old, "--dry-run")
    assert counts(ran) == {"waiting": "1", "not taken over": "1"}
    assert "nothing was changed" in ran.err
    assert not (qs.folder / "new.db").exists()


def test_an_id_that_was_given_to_another_job_is_refused_before_anything_is_written(qs: CommandLine, old: str) -> None:
    with running(qs.folder) as server:
        for _ in range(2):
            server.add({"type": "http", "url": "http://127.0.0.1:9/"})
    put(old, {"id": 2, "job": job()})
    before = dumped(f"sqlite:///{qs.folder}/q.db")
    ran = qs("import", "--from", old, "--db", f"sqlite:///{qs.folder}/q.db")
    assert ran.code == 1
    assert "job 2 of the table queue of the database" in ran.err
    assert f"can't keep its id: {qs.folder}/q.db has given out those up to 2" in ran.err
    assert dumped(f"sqlite:///{qs.folder}/q.db") == before


def test_a_row_that_came_later_with_an_id_of_a_new_job_is_refused(qs: CommandLine, old: str) -> None:
    put(old, {"id": 1, "job": job()})
    taken(qs, old, db="q.db")
    with running(qs.folder) as server:
        assert server.add({"type": "http", "url": "http://127.0.0.1:9/"}) == 2
    put(old, {"id": 2, "job": job()})
    ran = qs("import", "--from", old, "--db", f"sqlite:///{qs.folder}/q.db")
    assert (ran.code, "q.db has another job of that id" in ran.err) == (1, True), ran.err


def test_an_impossible_id_does_not_spoil_the_next_ones(qs: CommandLine) -> None:
    with first_server(OTHER_TABLE) as old:
        for id_ in (-5, 0, 7, 2**53, 2**62):
            put(old, {"id": id_, "worker_status": "0", "command": "http://h/"}, table="old ``queue%s")
        ran = taken(qs, old, "--table", "old `queue%s")
    assert counts(ran) == {"waiting": "1", "not taken over": "4"}
    assert dumped(f"sqlite:///{qs.folder}/new.db")["next"][0][0] == 8


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mysql"])
def test_an_import_that_was_killed_goes_on_and_takes_each_row_once(
    qs: CommandLine, old: str, tmp_path: Path, kind: str
) -> None:
    put(old, {"job": job(), "time_added": ADDED})
    columns = "worker_status, job, time_added"
    run_sql(old, *[f"insert into queue ({columns}) select {columns} from queue"] * 12)
    with KINDS[kind](tmp_path) as db:
        process = qs.start("import", "--from", old, "--db", db)
        until(lambda: rows_in(db, "job"), 20, "the first jobs")
        process.kill()
        process.communicate(timeout=10)
        done = rows_in(db, "job")
        assert 0 < done < 4096
        assert counts(qs("import", "--from", old, "--db", db)) == {"waiting": str(4096 - done), "not taken over": "0"}
        assert {row[0] for row in dumped(db)["job"]} == {row[0] for row in contents(old)}
        with_store(db, count_available)


async def count_available(store: Store) -> None:
    assert (await store.counts())[State.AVAILABLE] == 4096


HOSTILE: list[tuple[dict[str, Any], dict[str, Any] | str]] = [
    ({"job": "{not json"}, "the body is not JSON"),
    ({"job": "[1]"}, "must be a JSON object"),
    ({"job": "{}"}, "command: is required"),
    ({"job": None, "command": None}, "it has neither a job nor a command"),
    ({"job": job(), "worker_status": 7}, "its worker_status 7 is not known"),
    ({"job": json.dumps({"command": {"type": "mail", "to": "x"}})}, 'must be "http" or "exec"'),
    ({"job": "[" * 100_000}, "nested"),
    ({"job": '{"command":{"type":"exec","cmd":"x"}}', "priority": 99_999}, {"priority": 1000}),
    ({"job": job(), "priority": -1, "context": "a\nb" + "x" * 290}, {"priority": 0, "context": "ab" + "x" * 253}),
    (
        {"job": json.dumps({"command": {"type": "http", "url": "http://h/", "timeout": "20", "params": [], "odd": 1}})},
        {"command": {"type": "http", "url": "http://h/", "timeout": 20.0}},
    ),
    ({"job": json.dumps(job("http://h/"))}, {"command": {"type": "http", "url": "http://h/"}}),
    (
        {"job": "broken", "command": "http://h/a", "params": "b=1&c=x%20y"},
        {"command": {"type": "http", "url": "http://h/a", "params": {"b": "1", "c": "x y"}}},
    ),
    ({"command": "/bin/echo", "params": '["a b", 1]'}, {"command": {"type": "exec", "cmd": "/bin/echo 'a b' 1"}}),
    ({"command": "/bin/echo", "params": "-n 'x'"}, {"command": {"type": "exec", "cmd": "/bin/echo -n 'x'"}}),
    ({"command": "http", "params": '{"url":"http://h/"}'}, {"command": {"type": "http", "url": "http://h/"}}),
    ({"job": job(), "time_added": "0000-00-00 00:00:00"}, {"created_at": "1970-01-01T00:00:00.000000Z"}),
]


def test_hostile_rows_are_read_as_far_as_they_can_be_and_the_rest_is_told(qs: CommandLine, old: str) -> None:
    put(old, *({"id": number, "time_added": ADDED} | row for number, (row, _) in enumerate(HOSTILE, 1)))
    ran = taken(qs, old)
    lines = ran.err.splitlines()
    found = jobs(qs)
    for number, (_, expected) in enumerate(HOSTILE, 1):
        if isinstance(expected, str):
            assert number not in found
            (line,) = [line for line in lines if line.startswith(f"not taken over: row {number}:")]
            assert expected in line.replace("/command", "command")
        else:
            assert {name: found[number][name] for name in expected} == expected
    assert counts(ran)["not taken over"] == str(sum(isinstance(expected, str) for _, expected in HOSTILE))


def test_another_table_with_few_columns_of_other_types_is_read(qs: CommandLine) -> None:
    with first_server(OTHER_TABLE) as old:
        row = {
            "id": 2**40,
            "worker_status": "3",
            "command": "/bin/gr\u00fcn",
            "output": b"\xff\x00" * 3000,
            "time_added": 1_000_000_000,
        }
        put(old, row, table="old ``queue%s")
        taken(qs, old, "--table", "old `queue%s")
        (found,) = jobs(qs).values()
    assert found["created_at"] == "2001-09-09T01:46:40.000000Z"
    assert found["command"]["cmd"] == "/bin/grün"
    assert found["output"] == b"\xff\x00" * 3000


def test_long_outputs_are_cut_with_a_mark(qs: CommandLine, old: str) -> None:
    put(old, {"id": 1, "worker_status": 3, "job": job(), "output": "ä" * 10_000})
    ran = qs("import", "--from", old, "--db", f"sqlite:///{qs.folder}/new.db", QUEUE_SERVER_OUTPUT_LIMIT="4096")
    assert ran.code == 0, ran.err
    (found,) = jobs(qs).values()
    assert found["output"] == ("ä" * 4096).encode() + b"\n[... 11808 bytes dropped ...]\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--table", "nothing"), 1, "the table nothing of the database"),
        (("--time-zone", "Mars/Base"), 2, "write it as Europe/Berlin or +01:00"),
        (("--from", "postgresql://x/y"), 2, "--from is mysql://USER@HOST/NAME"),
        (("--from", "mysql://root@127.0.0.1:1/x"), 1, "can't open the database x on 127.0.0.1:1"),
    ],
)
def test_mistakes_are_told(qs: CommandLine, old: str, arguments: tuple[str, ...], code: int, says: str) -> None:
    ran = qs("import", "--from", old, *arguments)
    assert (ran.code, says in ran.err) == (code, True), ran.err
