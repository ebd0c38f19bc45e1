"""The statements that move rows, in SQL that all databases have; they differ in quotes and in how values are marked."""

# ruff: noqa: S608 (only names of our own tables are put into the texts)

from collections.abc import Callable, Sequence

import msgspec

from queue_server.store.moving import Table


class Wording(msgspec.Struct, frozen=True):
    """How a database writes the name of a column, and the place of the n-th value (from 1)."""

    name: Callable[[str], str]
    value: Callable[[int], str]

    def names(self, columns: Sequence[str]) -> str:
        """Columns, separated by commas."""
        return ", ".join(map(self.name, columns))


def page_query(table: Table, wording: Wording, *, goes_on: bool, where: str = "true") -> str:
    """A page in the order of the keys. Where it goes on, the values are those of `key_values`."""
    condition = f"{where} and {_after(table.key, wording)}" if goes_on else where
    return (
        f"select {wording.names(table.columns)} from {wording.name(table.name)} where {condition} "
        f"order by {wording.names(table.key)} limit {table.page_rows}"
    )


def key_values(key: Sequence[object]) -> Sequence[object]:
    """The values of a page's query that goes on after a key."""
    return [value for number, part in enumerate(key) for value in ([part] * (2 if number < len(key) - 1 else 1))]


def last_key_query(table: Table, wording: Wording, where: str = "true") -> str:
    """The greatest key."""
    names = [wording.name(name) for name in table.key]
    order = ", ".join(f"{name} desc" for name in names)
    return f"select {', '.join(names)} from {wording.name(table.name)} where {where} order by {order} limit 1"


def count_query(table: Table, wording: Wording, where: str = "true") -> str:
    """How many rows there are."""
    return f"select count(*) from {wording.name(table.name)} where {where}"


def insert_rows(table: Table, wording: Wording, count: int = 1, columns: Sequence[str] = ()) -> str:
    """An insert of so many rows with these columns, or the table's."""
    columns = columns or table.columns
    width = len(columns)
    rows = (
        f"({', '.join(wording.value(row * width + place) for place in range(1, width + 1))})" for row in range(count)
    )
    return f"insert into {wording.name(table.name)} ({wording.names(columns)}) values {', '.join(rows)}"


def _after(key: Sequence[str], wording: Wording, number: int = 1) -> str:
    """`a >= ? and (a > ? or (b >= ? and …))`, which every planner reads as the range of an index."""
    name = wording.name(key[0])
    if len(key) == 1:
        return f"{name} > {wording.value(number)}"
    rest = _after(key[1:], wording, number + 2)
    return f"{name} >= {wording.value(number)} and ({name} > {wording.value(number + 1)} or ({rest}))"
