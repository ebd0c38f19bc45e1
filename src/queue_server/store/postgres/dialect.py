"""How PostgreSQL writes the queries of a search.

It has no way to name an index. What is left to check is written so that no index serves it, and of the indexes that are
left the one with the range costs least.
"""

from collections.abc import Sequence

from queue_server.store.contract import Position
from queue_server.store.search.dialect import TAGS, Rows
from queue_server.store.search.fragments import Fragment


class PostgresDialect:
    """See Dialect."""

    join = "join"

    def walked(self, index: str) -> str:
        """See Dialect.walked."""
        return "tag" if index == TAGS else "job"

    def unranged(self, column: str) -> str:
        """See Dialect.unranged. All bounds of a range are used here."""
        return column

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
