"""What is done inside one transaction, and what has to be told once it is durable."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from queue_server.domain.job import NewJob
from queue_server.domain.state import State
from queue_server.store.mysql.bulk import in_bulk
from queue_server.store.mysql.connection import Connection
from queue_server.store.queries import load_queries
from queue_server.store.rows import Row
from queue_server.store.rows.jobs import RECORD

QUERIES = {name: query.replace("{record}", RECORD) for name, query in load_queries("queue_server.store.mysql").items()}
BEGINNING = 0


class Transaction:
    """An open transaction. `arrived` is when the first of the jobs that came may run, `callbacks` are jobs it added."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changes: Counter[State] = Counter()
        self.arrived: int | None = None
        self.callbacks: list[tuple[int, NewJob]] = []

    async def run(self, name: str, *values: Any) -> int:
        """Run a query; how many rows it found to change."""
        return (await self._connection.run(QUERIES[name], values)).affected_rows

    async def insert(self, name: str, *values: Any) -> int:
        """Run a query that inserts one row; its id."""
        return (await self._connection.run(QUERIES[name], values)).insert_id

    async def rows(self, name: str, *values: Any) -> Sequence[Row]:
        """The rows that a query finds."""
        return await self._connection.rows(QUERIES[name], values)

    async def value(self, name: str, *values: Any) -> Any:
        """The only value of a query's only row."""
        return (await self.rows(name, *values))[0][0]

    async def bulk(self, name: str, rows: Sequence[Row]) -> list[int]:
        """Insert many rows at once; the ids that they have got, where the table gives ids.

        The ids of one statement follow each other: InnoDB reserves them together when it knows how many rows come
        (MySQL manual, "AUTO_INCREMENT Handling in InnoDB", simple inserts, in all three lock modes).
        """
        ids: list[int] = []
        start, step = 0, self._connection.id_step
        for statement, values in in_bulk(QUERIES[name], rows):
            first = (await self._connection.run(statement, values)).insert_id
            count = len(values) // len(rows[start])
            start += count
            ids.extend(range(first, first + count * step, step))
        return ids

    def moved(self, before: State, after: State, run_at: int | None) -> None:
        """Count a job that has gone from one state to another, where it may run at `run_at`."""
        self._changes[before] -= 1
        self._changes[after] += 1
        if run_at is not None:
            self.arrive(after, run_at)

    def count(self, state: State, change: int) -> None:
        """Count jobs that have come to a state, or left it."""
        self._changes[state] += change

    def arrive(self, state: State, run_at: int) -> None:
        """Remember that something can run at `run_at`, for the listeners of arrivals."""
        if state not in (State.SCHEDULED, State.AVAILABLE):
            return
        run_at = BEGINNING if state is State.AVAILABLE else run_at
        self.arrived = run_at if self.arrived is None else min(run_at, self.arrived)

    async def settle(self) -> None:
        """Write how the number of jobs in each state has changed. Last in the transaction."""
        await self.bulk("insert_tally", [(state, change) for state, change in self._changes.items() if change])
