"""How many jobs of each context wait, for the limit on them.

Triggers of the writing connection note the changes in a temporary table, whatever statement makes them; there are none
of them, and nothing costs anything, until somebody asks for the counts. The table follows the transaction, the counts
follow its commit.
"""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

from collections import Counter
from collections.abc import Mapping

import apsw
from msgspec import json

from queue_server.store.queries import load_queries

QUERIES = load_queries("queue_server.store.sqlite")
NO_CHANGES: Mapping[str, int] = {}


class WaitingContexts:
    """The counts of one database. Made and changed by the writer's thread, read by any."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor
        cursor.execute(QUERIES["watch_contexts"])
        cursor.execute(QUERIES["forget_context_changes"])
        self._counts: Counter[str] = Counter(dict(cursor.execute(QUERIES["count_contexts"])))

    def of(self, context: str) -> int:
        """How many jobs of the context wait."""
        return self._counts.get(context, 0)

    def take_changes(self) -> Mapping[str, int]:
        """What the open transaction has changed, which is to be applied once it is durable."""
        changes: dict[str, int] = json.decode(next(self._cursor.execute(QUERIES["context_changes"]))[0])
        if changes:
            self._cursor.execute(QUERIES["forget_context_changes"])
        return changes

    def apply(self, changes: Mapping[str, int]) -> None:
        """Change the counts. A context of which nothing waits is forgotten."""
        for context, change in changes.items():
            self._counts[context] += change
            if not self._counts[context]:
                del self._counts[context]
