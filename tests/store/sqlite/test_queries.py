"""The queries read no more rows than they return: each uses the index that was made for it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

import queue_server.store.sqlite as package
from queue_server.domain.state import State
from queue_server.store.queries import load_queries
from queue_server.store.rows.jobs import attempt_row, finish_row, job_row
from queue_server.store.sqlite.bulk import LARGEST, Row, in_bulk
from queue_server.store.sqlite.connection import open_writer
from queue_server.store.sqlite.session import QUERIES
from tests.builders.jobs import decided, job, new_job

FILE = files(package).joinpath("queries.sql").read_text("utf-8")
NAMES = re.findall(r"^-- name: (\w+)$", FILE, re.MULTILINE)


@pytest.fixture
def database(path):
    with closing(open_writer(path)) as one:
        yield one


def plan(database, name: str, *values: object) -> list[str]:
    """The steps of a query's plan."""
    rows = database.execute(f"explain query plan {QUERIES[name]}", values)
    return [detail for _, _, _, detail in rows]


@pytest.mark.parametrize(
    ("name", "values", "step"),
    [
        ("claimable", ("http", 10, 0, 1), "SEARCH job USING INDEX job_claim (type=?)"),
        ("promote", (0, 10), "SEARCH job USING COVERING INDEX job_due (run_at<?)"),
        ("next_due", (), "SEARCH job USING COVERING INDEX job_due"),
        ("expired", (10,), "SEARCH job USING INDEX job_state (state=?)"),
        ("overdue", (0, 10), "SEARCH job USING INDEX job_overdue (overdue_at<?)"),
        (
            "purgeable",
            ("completed", 0, 1, 10),
            "SEARCH job USING INDEX job_ended (state=? AND ended_at>? AND ended_at<?)",
        ),
        ("kept_too_long", (0, 10), "SEARCH job USING INDEX job_kept (keep_until<?)"),
        ("load_next_id", (), "SEARCH sequence USING PRIMARY KEY (name=?)"),
        ("save_next_id", (1,), "SEARCH sequence USING PRIMARY KEY (name=?)"),
        ("delete_once", (0, 10), "SEARCH once USING PRIMARY KEY (scope=? AND key=?)"),
        ("delete_once", (0, 10), "SEARCH once USING COVERING INDEX once_until (until<?)"),
        ("get", (1,), "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("ahead", ("http", 1, 1, 1, 9), "SEARCH job USING COVERING INDEX job_claim (type=? AND (rank,run_at)<(?,?))"),
        ("attempts", (1,), "SEARCH attempt USING PRIMARY KEY (job_id=?)"),
        ("output", (1, None), "SEARCH attempt USING PRIMARY KEY (job_id=?)"),
        ("finish", (1,) * 11, "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("revise", (1,) * 15, "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("replace_payload", (1, b""), "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)"),
        ("extend", (1, 1, 1, ""), "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("wish_cancel", (1, 1, 1, ""), "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("save_operation", (1,) * 7, "SEARCH operation USING INTEGER PRIMARY KEY (rowid=?)"),
        ("is_operation_running", (1, 0), "SEARCH operation USING INTEGER PRIMARY KEY (rowid=?)"),
        ("operation", (1,), "SEARCH operation USING INTEGER PRIMARY KEY (rowid=?)"),
        ("operations", (1, 10), "SEARCH operation USING INTEGER PRIMARY KEY (rowid<?)"),
        ("open_operations", (), "SCAN operation USING INDEX operation_running"),
        ("rotate_token", (1, b"", 1), "SEARCH token USING INTEGER PRIMARY KEY (rowid=?)"),
        ("revoke_token", (1, 1), "SEARCH token USING INTEGER PRIMARY KEY (rowid=?)"),
        ("note_tokens_used", ("[[1,1]]",), "SEARCH token USING INTEGER PRIMARY KEY (rowid=?)"),
        ("plan", (1,), "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)"),
        ("plans", ("[1]",), "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)"),
        ("claim", ("[1]", 1, 0), "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete_jobs", ("[1]",), "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete_payloads", ("[1]",), "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete_attempts", ("[1]",), "SEARCH attempt USING PRIMARY KEY (job_id=?)"),
        ("delete_tags", ("[1]",), "SEARCH tag USING COVERING INDEX tag_job (job_id=?)"),
    ],
)
def test_query_uses_its_index(database, name, values, step):
    steps = plan(database, name, *values)
    assert step in steps
    assert not _walks_a_table(steps)
    assert not any("TEMP B-TREE FOR ORDER BY" in one for one in steps), "the index gives the order"


def test_count_counts_indexes_only(database):
    steps = [step for step in plan(database, "count") if "job" in step]
    assert steps == ["SEARCH job USING COVERING INDEX job_state (state=?)"] * len(State)


def test_jobs_by_id_are_searched_one_by_one(database):
    """Only the page itself is sorted, into the order that was asked for."""
    steps = plan(database, "get_many", "[2,1]")
    assert [step for step in steps if "job" in step or "payload" in step] == [
        "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH attempt USING PRIMARY KEY (job_id=? AND claim_seq=?) LEFT-JOIN",
        "SEARCH attempt USING PRIMARY KEY (job_id=?)",
    ]


BULK: Mapping[str, Row] = {
    "insert_jobs": job_row(1, new_job()),
    "insert_payloads": (1, b""),
    "insert_tags": ("name", "value", 1),
    "load_once": (0, "scope", "key"),
    "insert_once": ("scope", "key", b"", 1, 1),
    "insert_attempts": attempt_row(decided(job()).attempt),
    "finish_all": finish_row(decided(job())),
}
"""A row for each query that takes many."""


@pytest.mark.parametrize("name", BULK)
@pytest.mark.parametrize("count", [1, LARGEST])
def test_batch_walks_no_table(database, name, count):
    for statement, values in in_bulk(QUERIES[name], [BULK[name]] * count):
        steps = [row[3] for row in database.execute(f"explain query plan {statement}", values)]
        assert not _walks_a_table(steps)


def test_every_query_that_takes_many_rows_has_an_example():
    assert set(BULK) == {name for name, query in QUERIES.items() if "{rows}" in query}


def _walks_a_table(steps: list[str]) -> bool:
    return any(re.match(r"SCAN (job|payload|attempt|tag|once|operation|token)(?! USING)", step) for step in steps)


def test_bulk_writes_every_row_once():
    for count in (0, 1, 2, 63, 64, 65, 200):
        rows = [(n, -n) for n in range(count)]
        parts = list(in_bulk("insert into x values {rows}", rows))
        assert [value for _, values in parts for value in values] == [value for row in rows for value in row]
        for statement, values in parts:
            assert statement.count("(?,?)") * 2 == len(values)


# The file of queries.


def test_every_query_has_a_purpose_line():
    bare = [name for name in NAMES if not re.search(rf"^-- [^\n]+\n-- name: {name}$", FILE, re.MULTILINE)]
    assert bare == []


def test_every_query_has_one_name():
    assert len(set(NAMES)) == len(NAMES)
    assert list(QUERIES) == NAMES
    assert list(load_queries(package.__name__)) == NAMES
    assert not any("{record}" in query for query in QUERIES.values())
    assert all(QUERIES.values())
    assert not any("--" in query for query in QUERIES.values())


def test_every_query_is_used():
    code = "".join(_python_files())
    assert [name for name in NAMES if f'"{name}"' not in code] == []


def test_every_query_that_is_used_exists():
    used = re.findall(
        r'(?:\b_?(?:run|bulk|find_in_bulk|value|rows|read)|QUERIES)[\(\[]"(\w+)"', "".join(_python_files())
    )
    assert set(used) <= set(NAMES)


def _python_files() -> Iterator[str]:
    for file in Path(str(files(package).joinpath("."))).glob("*.py"):
        yield file.read_text("utf-8")
