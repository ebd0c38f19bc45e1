"""Parts of an ordered list, and the SQL that says which jobs are in one and in which order they come."""

import msgspec

from queue_server.store.contract import Order, Position
from queue_server.store.sqlite.fragments import GREATEST_INTEGER, LEAST_INTEGER, Fragment, held

VALUES = {Order.ENDED_LAST: "job.ended_at", Order.ENDED_FIRST: "job.ended_at", Order.DUE: "job.run_at"}
"""What a list is ordered by, where that is not the id."""

DESCENDING = (Order.NEWEST, Order.ENDED_LAST)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a list that come after a position, up to another one and including it.

    Lists by id are also bounded by ids. The column of the id is passed to the methods, as it may be another table's.
    """

    order: Order
    after: Position | None = None
    up_to: Position | None = None
    least_id: int = LEAST_INTEGER
    greatest_id: int = GREATEST_INTEGER

    @property
    def is_by_id(self) -> bool:
        """Whether the list is ordered by id."""
        return self.order not in VALUES

    @property
    def is_descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.order in DESCENDING

    @property
    def ids(self) -> range:
        """The ids of a list by id."""
        first, last = (self.up_to, self.after) if self.is_descending else (self.after, self.up_to)
        least = self.least_id if first is None else max(self.least_id, first.id + (first is self.after))
        greatest = self.greatest_id if last is None else min(self.greatest_id, last.id - (last is self.after))
        return range(held(least), held(greatest) + 1)

    def columns(self, id_: str) -> tuple[str, str]:
        """The columns of a place: the one that the list is ordered by, and the id."""
        return VALUES.get(self.order, id_), id_

    def ordering(self, *columns: str) -> str:
        """What stands after `order by`, for the columns of a place."""
        direction = "desc" if self.is_descending else "asc"
        return ", ".join(f"{column} {direction}" for column in dict.fromkeys(columns))

    def conditions(self, id_: str) -> list[Fragment]:
        """Which jobs are in it."""
        if self.is_by_id:
            return [Fragment(f"{id_} between ? and ?", (self.ids.start, self.ids.stop - 1))]
        value = VALUES[self.order]
        beyond, within = ("<", ">=") if self.is_descending else (">", "<=")
        return [
            Fragment(f"({value}, {id_}) {comparison} (?, ?)", (held(place.value), held(place.id)))
            for place, comparison in ((self.after, beyond), (self.up_to, within))
            if place is not None
        ]

    def key(self, place: Position) -> tuple[int, int]:
        """What to sort places by so that they come in the list's order."""
        return (-place.value, -place.id) if self.is_descending else (place.value, place.id)
