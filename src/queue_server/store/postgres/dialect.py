"""How PostgreSQL writes the queries of a search.

It has no way to name an index, and with statistics that are out of date it chooses another one, which it may have to
read from end to end. So conditions are written such that no other index serves them or has their order, and SETTINGS
keep it from reading the whole table. What is left are lists of exec jobs: the condition of their index, which has to
stand there, makes its first column constant. (Measured 2026-11 with 300,000 jobs and statistics of others: a page took
up to 2.4 s without that, and takes 0.05 s with it, but 0.6 s for exec.)
"""

from collections.abc import Sequence

from queue_server.store.contract import Position
from queue_server.store.search.dialect import TAGS, Rows
from queue_server.store.search.fragments import Fragment, held

SETTINGS = {"enable_seqscan": "off", "jit": "off"}
"""What has to be set where searches run."""


class PostgresDialect:
    """See Dialect."""

    join = "join"

    def walked(self, index: str) -> str:
        """See Dialect.walked."""
        return "tag" if index == TAGS else "job"

    def unranged(self, column: str) -> str:
        """See Dialect.unranged. All bounds of a range are used here."""
        return column

    def equal(self, column: str, value: str | int) -> Fragment:
        """See Dialect.equal.

        The planner takes the column of `=` for constant, so that an index by id alone would have the order as well.
        That of a list with one value it does not.
        """
        return Fragment(f"{column} = any(?)", ([held(value) if isinstance(value, int) else value],))

    def checked(self, condition: Fragment) -> Fragment:
        """See Dialect.checked."""
        return Fragment(f"({condition.sql}) is true", condition.values)

    def among(self, column: str, ids: Sequence[int]) -> Fragment:
        """See Dialect.among."""
        return Fragment(f"{column} = any(?)", (list(ids),))

    def packed(self, query: Fragment) -> Fragment:
        """See Dialect.packed."""
        return query

    def places(self, rows: Rows) -> list[Position]:
        """See Dialect.places."""
        return [Position(*row) for row in rows]
