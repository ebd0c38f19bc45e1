"""Taking over the jobs of the first Queue Server: page by page, each with a mark in the same transaction.

So a run that was cut off goes on, a second run finds only what is new, and no job comes twice, also when it has ended
and been deleted here meanwhile.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from queue_server.domain.errors import StoreRefused
from queue_server.moving.first_jobs import Kind, Rules, TakenOver, Unread, take
from queue_server.moving.move import Moved, refuse_live
from queue_server.store.first_table import FirstRow, FirstTable
from queue_server.store.moving import JOB, Import, Mark, Table
from queue_server.store.rows import Row

BEFORE_ALL = -(2**63)
LISTED = 1000
"""So many unread rows, and so many remarks, are told one by one; all are counted."""


class Report(msgspec.Struct):
    """What became of the rows. `missed` have ids that others have, too, or were deleted while they were read."""

    counts: Counter[Kind] = msgspec.field(default_factory=Counter[Kind])
    unread_count: int = 0
    unread: list[Unread] = []
    remarks: list[tuple[int, str]] = []
    missed: int = 0

    def note(self, taken: TakenOver | Unread) -> None:
        """Count one row."""
        if isinstance(taken, Unread):
            self.unread_count += 1
            if len(self.unread) < LISTED:
                self.unread.append(taken)
            return
        self.counts[taken.kind] += 1
        if taken.remarks and len(self.remarks) < LISTED:
            self.remarks.append((taken.id, "; ".join(taken.remarks)))


async def take_over(first: FirstTable, target: Import | None, rules: Rules, told: Callable[[Moved], None]) -> Report:
    """Take over all rows that have not been, or without a target only count what all rows would become."""
    mark_name = "first " + hashlib.sha256(first.label.encode()).hexdigest()
    after = BEFORE_ALL
    if target is not None:
        await refuse_live(target)
        before = await target.mark(mark_name)
        after = BEFORE_ALL if before is None else before
        if ids := await first.id_range():
            await _refuse_taken_ids(first, target, ids, before)
            await target.reserve({"job": ids[1] + 1})
    report, total, seen = Report(), await first.count(after), 0
    while rows := await first.page(after):
        taken = _take_page(rows, rules, report)
        after = rows[-1].id
        if target is not None:
            await target.put(_by_table(taken), Mark(mark_name, after))
        seen += len(rows)
        told(Moved("jobs", total, seen))
    report.missed = max(0, total - seen)
    if target is not None:
        await target.settle()
    return report


def _take_page(rows: Sequence[FirstRow], rules: Rules, report: Report) -> Sequence[TakenOver]:
    taken: list[TakenOver] = []
    ids: set[int] = set()
    for row in rows:
        one = Unread(row.id, "another row has its id, too") if row.id in ids else take(row, rules)
        ids.add(row.id)
        report.note(one)
        if isinstance(one, TakenOver):
            taken.append(one)
    return taken


def _by_table(taken: Sequence[TakenOver]) -> Mapping[Table, Sequence[Row]]:
    tables: dict[Table, list[Row]] = {}
    for one in taken:
        for table, rows in one.rows.items():
            tables.setdefault(table, []).extend(rows)
    return tables


async def _refuse_taken_ids(first: FirstTable, target: Import, ids: tuple[int, int], before: int | None) -> None:
    """StoreRefused if an id that a row which is still to come needs is one of another job here, or was once.

    `before` is how far the table has been taken over; `ids` are its smallest and its greatest.
    """
    next_id = (await target.next_ids())["job"]
    if before is None and next_id > ids[0]:
        raise _taken(first, ids[0], f"{target.label} has given out those up to {next_id - 1}")
    key: Row = (max(before or 0, 0),)
    while rows := await target.page(JOB, key):
        wanted = [row[0] for row in rows if row[0] <= ids[1]]
        if wanted and (both := await first.ids_among(wanted)):
            raise _taken(first, both[0], f"{target.label} has another job of that id")
        if len(wanted) < len(rows):
            return
        key = JOB.key_of(rows[-1])


def _taken(first: FirstTable, job_id: int, why: str) -> StoreRefused:
    return StoreRefused(
        f"job {job_id} of {first.label} can't keep its id: {why}; take the jobs over into an empty database"
    )
