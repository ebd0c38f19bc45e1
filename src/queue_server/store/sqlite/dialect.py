"""How SQLite writes the queries of a search.

`indexed by` makes the choice of an index certain, and an error where the index can't serve. A plus sign in front of a
column keeps SQLite from walking a range of it.
"""

from collections.abc import Sequence

from msgspec import json

from queue_server.store.contract import Position
from queue_server.store.search.dialect import JOBS, TAGS, Rows
from queue_server.store.search.fragments import Fragment, compared, merged

PRIMARY = {JOBS: "job not indexed", TAGS: "tag"}

_decode_places = json.Decoder(list[tuple[int, int]]).decode


class SqliteDialect:
    """See Dialect."""

    join = "cross join"

    def walked(self, index: str) -> str:
        """See Dialect.walked."""
        return PRIMARY.get(index) or f"job indexed by {index}"

    def unranged(self, column: str) -> str:
        """See Dialect.unranged."""
        return f"+{column}"

    def equal(self, column: str, value: str | int) -> Fragment:
        """See Dialect.equal."""
        return compared(column, "=", value)

    def checked(self, condition: Fragment) -> Fragment:
        """See Dialect.checked."""
        return condition

    def among(self, column: str, ids: Sequence[int]) -> Fragment:
        """See Dialect.among."""
        listed = "(select value from json_each(?))"
        return Fragment(f"{column} in {listed}", (json.encode(ids).decode(),))

    def packed(self, query: Fragment) -> Fragment:
        """See Dialect.packed. All places come in one step (see bulk.py)."""
        return merged("json_group_array(json_array(value, id))", [query], "")

    def places(self, rows: Rows) -> list[Position]:
        """See Dialect.places."""
        ((text,),) = rows
        return [Position(*place) for place in _decode_places(text)]
