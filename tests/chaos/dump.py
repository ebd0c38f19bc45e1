"""What a store's database holds of jobs, attempts and nodes, read past the store."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.databases import run_sql

Row = Mapping[str, Any]
Ask = Callable[[str], Sequence[Sequence[Any]]]

JOB = ("id", "state", "reason", "parent_id")
ATTEMPT = ("job_id", "claim_seq", "outcome", "node_id", "started_at", "ended_at")
NODE = ("id", "name", "started_at")


@dataclass(frozen=True)
class Dump:
    jobs: dict[int, Row]
    attempts: dict[int, list[Row]]
    nodes: dict[int, Row]
    integrity: str


def dump_file(file: Path) -> Dump:
    """That of a SQLite file."""
    with closing(sqlite3.connect(file)) as database:
        (integrity,) = database.execute("pragma integrity_check").fetchone()
        return _dump(lambda sql: database.execute(sql).fetchall(), integrity)


def dump_url(url: str) -> Dump:
    """That of a database on a server, which looks after its integrity itself."""
    return _dump(lambda sql: run_sql(url, sql), "ok")


def _dump(ask: Ask, integrity: str) -> Dump:
    attempts: defaultdict[int, list[Row]] = defaultdict(list)
    for row in _rows(ask, "attempt", ATTEMPT, "job_id, claim_seq"):
        attempts[row["job_id"]].append(row)
    jobs, nodes = (_rows(ask, table, columns, "id") for table, columns in (("job", JOB), ("node", NODE)))
    return Dump({job["id"]: job for job in jobs}, attempts, {node["id"]: node for node in nodes}, integrity)


def _rows(ask: Ask, table: str, columns: Sequence[str], order: str) -> list[Row]:
    found = ask(f"select {', '.join(columns)} from {table} order by {order}")
    return [dict(zip(columns, map(_text, row), strict=True)) for row in found]


def _text(value: object) -> object:
    """MySQL's columns of exact texts are bytes."""
    return value.decode() if isinstance(value, bytes) else value
