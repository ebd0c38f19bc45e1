"""How MySQL and MariaDB write the queries of a search."""

from collections.abc import Sequence

from queue_server.store.contract import Position
from queue_server.store.search.dialect import JOBS, TAGS, Rows
from queue_server.store.search.fragments import Fragment, compared

PRIMARY = {JOBS: "job force index (primary)", TAGS: "tag force index (primary)"}


class MysqlDialect:
    """See Dialect."""

    join = "straight_join"

    def walked(self, index: str) -> str:
        """See Dialect.walked."""
        return PRIMARY.get(index) or f"job force index ({index})"

    def unranged(self, column: str) -> str:
        """See Dialect.unranged. Comparisons of pairs are never a range here."""
        return column

    def equal(self, column: str, value: str | int) -> Fragment:
        """See Dialect.equal."""
        return compared(column, "=", value)

    def checked(self, condition: Fragment) -> Fragment:
        """See Dialect.checked. The index is forced."""
        return condition

    def among(self, column: str, ids: Sequence[int]) -> Fragment:
        """See Dialect.among."""
        return Fragment(f"{column} in ({', '.join('?' * len(ids))})", tuple(ids))

    def packed(self, query: Fragment) -> Fragment:
        """See Dialect.packed."""
        return query

    def places(self, rows: Rows) -> list[Position]:
        """See Dialect.places."""
        return [Position(*row) for row in rows]
