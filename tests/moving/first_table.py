"""The first Queue Server's table, as a PHP application would have made it, and rows for it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.databases import database, mysql_server, run_sql

TABLE = """create table queue (
    id int unsigned not null auto_increment primary key,
    worker varchar(64) null,
    worker_status tinyint not null default 0,
    context varchar(300) null,
    params text null,
    command text null,
    job_hash char(32) null,
    job longtext null,
    output longtext null,
    return_code int null,
    priority int null,
    time_added datetime null,
    time_completed timestamp null default null
) default charset=utf8mb4"""

OTHER_TABLE = """create table `old ``queue%s` (
    id bigint primary key,
    worker_status varchar(3),
    command varchar(500) charset latin1,
    output blob,
    time_added int
)"""


@contextmanager
def first_server(*tables: str) -> Iterator[str]:
    """A database with these tables; its URL."""
    with database(mysql_server()) as url:
        run_sql(url, *(tables or (TABLE,)))
        yield url


def put(url: str, *rows: dict[str, Any], table: str = "queue") -> None:
    run_sql(url, "set time_zone = '+00:00'", *(_insert(row, table) for row in rows))


def job(url: str = "http://127.0.0.1:9/x", **members: Any) -> str:
    return json.dumps({"command": {"type": "http", "url": url}, **members})


def contents(url: str) -> Sequence[Sequence[Any]]:
    return run_sql(url, "select * from queue order by id")


def _insert(row: dict[str, Any], table: str) -> str:
    return f"insert into `{table}` ({', '.join(row)}) values ({', '.join(map(_literal, row.values()))})"


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bytes():
            return f"x'{value.hex()}'"
        case str():
            return f"convert(x'{value.encode().hex()}' using utf8mb4)"
        case _:
            return str(value)
