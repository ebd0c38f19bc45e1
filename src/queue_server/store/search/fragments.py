"""Pieces of SQL that carry the values they bind, so that they can be put together without mixing the values up.

Their text is made of the names of tables and columns only: a value always stands in it as a question mark.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

LEAST_INTEGER, GREATEST_INTEGER = -(2**63), 2**63 - 1
"""What databases can hold."""


class Fragment(msgspec.Struct, frozen=True):
    """SQL, and the values of its question marks."""

    sql: str
    values: tuple[Any, ...] = ()

    def numbered(self) -> str:
        """The SQL with `$1`, `$2` and so on for its values."""
        first, *others = self.sql.split("?")
        return first + "".join(f"${number}{text}" for number, text in enumerate(others, 1))

    def percent(self) -> str:
        """The SQL with `%s` for its values."""
        return self.sql.replace("?", "%s")


def compared(column: str, comparison: str, value: str | int) -> Fragment:
    """A column compared with a value."""
    return Fragment(f"{column} {comparison} ?", (held(value) if isinstance(value, int) else value,))


def all_of(conditions: Iterable[Fragment]) -> Fragment:
    """Fulfilled where all are. There is at least one."""
    return _joined(" and ", conditions)


def any_of(conditions: Iterable[Fragment]) -> Fragment:
    """Fulfilled where one is. There is at least one."""
    joined = _joined(" or ", conditions)
    return Fragment(f"({joined.sql})", joined.values)


def one_of(column: str, values: Iterable[str]) -> Fragment:
    """Fulfilled where the column has one of the values."""
    bound = tuple(values)
    return Fragment(f"{column} in ({', '.join('?' * len(bound))})", bound)


def select(columns: str, table: str, where: Fragment, ending: str, *values: int) -> Fragment:
    """A query. `ending` is what comes after the condition, `values` are those that it binds."""
    return Fragment(f"select {columns} from {table} where {where.sql} {ending}", (*where.values, *values))  # noqa: S608


def merged(columns: str, queries: Sequence[Fragment], ending: str, *values: int) -> Fragment:
    """The rows of all queries. `ending` and `values` as for `select`."""
    rows = _joined(" union all ", [Fragment(f"select * from ({query.sql}) as part", query.values) for query in queries])  # noqa: S608
    return Fragment(f"select {columns} from ({rows.sql}) as parts {ending}", (*rows.values, *values))  # noqa: S608


def held(number: int) -> int:
    """The number, or the nearest one that databases can hold."""
    return min(max(number, LEAST_INTEGER), GREATEST_INTEGER)


def _joined(word: str, fragments: Iterable[Fragment]) -> Fragment:
    parts = list(fragments)
    return Fragment(word.join(part.sql for part in parts), tuple(value for part in parts for value in part.values))
