"""What databases write differently in the queries of a search.

All of them have the tables, columns and indexes of the same names, and integers of 64 bits.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from queue_server.store.contract import Position
from queue_server.store.search.fragments import Fragment

Rows = Sequence[Sequence[Any]]

JOBS, TAGS = "job", "tag"
"""The primary keys of the tables, which `Dialect.walked` takes like names of indexes: the tags' begins with the tag."""


class Dialect(Protocol):
    """How one database writes it."""

    @property
    def join(self) -> str:
        """A join that reads its left table first."""
        ...

    def walked(self, index: str) -> str:
        """The table of an index, to be read along that index where the database can be told so."""
        ...

    def unranged(self, column: str) -> str:
        """The column, such that a comparison with it is checked on each row and no range of an index."""
        ...

    def equal(self, column: str, value: str | int) -> Fragment:
        """Fulfilled where the first column of the index that is walked has the value."""
        ...

    def checked(self, condition: Fragment) -> Fragment:
        """The condition, such that it is checked on each row and chooses no index."""
        ...

    def among(self, column: str, ids: Sequence[int]) -> Fragment:
        """Fulfilled where the column has one of the ids. There is at least one."""
        ...

    def packed(self, query: Fragment) -> Fragment:
        """The query for the rows (value, id), as the database hands them out fastest; `places` reads its answer."""
        ...

    def places(self, rows: Rows) -> list[Position]:
        """The places in what a packed query has found."""
        ...
