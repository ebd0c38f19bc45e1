"""The bare limit of storing: SQLite inserts, 100 in a transaction, each on disk before the next begins.

Arguments: the database file, seconds, rows in a transaction (100). The payload comes on stdin. Hands in the rows
inserted.
"""

import sys
import time

import apsw

from tests.performance.work import Work, hand_in

BATCH = 100
SCHEMA = """
create table if not exists job(id integer primary key, state text not null, priority integer not null,
  run_at integer not null, payload blob not null);
create index if not exists ready on job(priority desc, run_at, id) where state = 'available';
"""
INSERT = "insert into job(state, priority, run_at, payload) values('available', ?, 0, ?)"


def open_database(path: str) -> apsw.Connection:
    """A database as durable as the server's: WAL, and every commit waits for the disk."""
    database = apsw.Connection(path)
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = full")
    database.execute(SCHEMA)
    return database


def insert(database: apsw.Connection, payload: bytes, seconds: float, rows_at_once: int) -> Work:
    batch = [(500, payload)] * rows_at_once
    rows, begin = 0, time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds:
        with database:
            database.executemany(INSERT, batch)
        rows += rows_at_once
    return Work(amount=rows, seconds=elapsed, cpu_s=time.process_time())


if __name__ == "__main__":
    rows_at_once = int(sys.argv[3]) if len(sys.argv) > 3 else BATCH
    hand_in(insert(open_database(sys.argv[1]), sys.stdin.buffer.read(), float(sys.argv[2]), rows_at_once))
