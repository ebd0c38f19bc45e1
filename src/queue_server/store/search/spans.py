"""Parts of an ordered list, and the SQL that says which jobs are in one and in which order they come."""

from typing import Self

import msgspec
from msgspec import structs

from queue_server.store.contract import Order, Position
from queue_server.store.search.dialect import Dialect
from queue_server.store.search.fragments import GREATEST_INTEGER, LEAST_INTEGER, Fragment, all_of, held

ENDED_AT = "job.ended_at"
VALUES = {Order.ENDED_LAST: ENDED_AT, Order.ENDED_FIRST: ENDED_AT, Order.DUE: "job.run_at"}
"""What a list is ordered by, where that is not the id."""

DESCENDING = (Order.NEWEST, Order.ENDED_LAST)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a list that come after a position, up to another one and including it, with values in a range.

    The value is what the list is ordered by. Methods are given the column of the id, as it may be another table's.
    """

    order: Order
    after: Position | None = None
    up_to: Position | None = None
    least: int = LEAST_INTEGER
    greatest: int = GREATEST_INTEGER

    @property
    def is_by_id(self) -> bool:
        """Whether the list is ordered by id."""
        return self.order not in VALUES

    @property
    def is_by_end(self) -> bool:
        """Whether the list is one of ended jobs, by the time of their end."""
        return VALUES.get(self.order) == ENDED_AT

    @property
    def is_descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.order in DESCENDING

    @property
    def values(self) -> range:
        """The values of its jobs. Where the value is not the id, others can have the first one or the last as well."""
        beyond = 1 if self.is_by_id else 0
        if self.is_descending:
            span = self.within(_value(self.up_to), _value(self.after, -beyond))
        else:
            span = self.within(_value(self.after, beyond), _value(self.up_to))
        return range(held(span.least), held(span.greatest) + 1)

    def within(self, least: int | None, greatest: int | None) -> Self:
        """The span with values in a narrower range, None where that side has no bound."""
        return structs.replace(
            self,
            least=self.least if least is None else max(least, self.least),
            greatest=self.greatest if greatest is None else min(greatest, self.greatest),
        )

    def columns(self, id_: str) -> tuple[str, str]:
        """The columns of a place: the value and the id."""
        return VALUES.get(self.order, id_), id_

    def ordering(self, *columns: str | None) -> str:
        """What stands after `order by`, for columns of which those of a place are the last. None is no column."""
        direction = "desc" if self.is_descending else "asc"
        return ", ".join(f"{column} {direction}" for column in dict.fromkeys(columns) if column)

    def condition(self, id_: str, dialect: Dialect) -> Fragment:
        """Which jobs are in it: one range of an index that has the list's order.

        A database may take one lower and one upper bound for the range and check others on each row. So there is only
        one of each: those that tell jobs with the same value apart are none.
        """
        value = VALUES.get(self.order, id_)
        range_ = Fragment(f"{value} between ? and ?", (self.values.start, self.values.stop - 1))
        if self.is_by_id:
            return range_
        columns = f"{dialect.unranged(value)}, {dialect.unranged(id_)}"
        beyond, within = ("<", ">=") if self.is_descending else (">", "<=")
        ends = [
            Fragment(f"({columns}) {comparison} (?, ?)", (held(place.value), held(place.id)))
            for place, comparison in ((self.after, beyond), (self.up_to, within))
            if place is not None
        ]
        return all_of((range_, *ends))

    def key(self, place: Position) -> tuple[int, int]:
        """What to sort places by so that they come in the list's order."""
        return (-place.value, -place.id) if self.is_descending else (place.value, place.id)


def _value(place: Position | None, offset: int = 0) -> int | None:
    return None if place is None else place.value + offset
