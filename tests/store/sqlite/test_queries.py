"""The queries read no more rows than they return: each uses the index that was made for it."""

import re
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

import queue_server.store.sqlite as package
from queue_server.store.queries import load_queries
from queue_server.store.sqlite.bulk import LARGEST, in_bulk
from queue_server.store.sqlite.connection import open_writer
from queue_server.store.sqlite.session import QUERIES

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
        ("expired", (10,), "SCAN job USING INDEX job_running"),
        ("purgeable", ("completed", 0, 10), "SEARCH job USING COVERING INDEX job_ended (state=? AND ended_at<?)"),
        ("get", (1,), "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("find", (1, None, None, 10), "SEARCH job USING INTEGER PRIMARY KEY (rowid<?)"),
        ("attempts", (1,), "SEARCH attempt USING PRIMARY KEY (job_id=?)"),
        ("output", (1, None), "SEARCH attempt USING PRIMARY KEY (job_id=?)"),
        ("finish", (1,) * 9, "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("plan", (1,), "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)"),
        ("plans", ("[1]",), "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)"),
        ("claim", ("[1]", 1, 0), "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete_jobs", ("[1]",), "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete_payloads", ("[1]",), "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete_attempts", ("[1]",), "SEARCH attempt USING PRIMARY KEY (job_id=?)"),
    ],
)
def test_query_uses_its_index(database, name, values, step):
    steps = plan(database, name, *values)
    assert step in steps
    assert not _walks_a_table(steps)
    assert not any("TEMP B-TREE FOR ORDER BY" in one for one in steps), "the index gives the order"


def test_count_counts_indexes_only(database):
    steps = [step for step in plan(database, "count") if "job" in step]
    assert [re.sub(r" \(.*", "", step) for step in steps] == [
        "SCAN job USING COVERING INDEX job_due",
        "SCAN job USING COVERING INDEX job_claim",
        "SCAN job USING COVERING INDEX job_running",
        *["SEARCH job USING COVERING INDEX job_ended"] * 3,
    ]


@pytest.mark.parametrize("name", ["finish_all", "insert_jobs", "insert_payloads", "insert_attempts"])
@pytest.mark.parametrize("count", [1, LARGEST])
def test_batch_walks_no_table(database, name, count):
    columns = {"finish_all": 9, "insert_jobs": 8, "insert_payloads": 2, "insert_attempts": 15}[name]
    for statement, values in in_bulk(QUERIES[name], [(1,) * columns] * count):
        steps = [row[3] for row in database.execute(f"explain query plan {statement}", values)]
        assert not _walks_a_table(steps)


def _walks_a_table(steps: list[str]) -> bool:
    return any(re.match(r"SCAN (job|payload|attempt)(?! USING)", step) for step in steps)


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
    assert load_queries(package.__name__) == QUERIES
    assert all(QUERIES.values())
    assert not any("--" in query for query in QUERIES.values())


def test_every_query_is_used():
    code = "".join(_python_files())
    assert [name for name in NAMES if f'"{name}"' not in code] == []


def test_every_query_that_is_used_exists():
    used = re.findall(r'(?:_run|_bulk|_value|_rows|_read|QUERIES)[\(\[]"(\w+)"', "".join(_python_files()))
    assert set(used) <= set(NAMES)


def _python_files() -> Iterator[str]:
    for file in Path(str(files(package).joinpath("."))).glob("*.py"):
        yield file.read_text("utf-8")
