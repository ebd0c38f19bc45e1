"""Moving a whole store into another database.

Rows are copied page by page in the order of their keys, each page in a transaction, so that a move that was cut off
goes on where it was. A mark in the target tells that it is half full, and how many servers had worked on the source
when the move began: were one started there meanwhile, what has been moved would be out of date.
"""

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from queue_server.domain.errors import StoreRefused
from queue_server.store.moving import ONCE, PASSING, TABLES, TAG, Export, Import, Mark, Table
from queue_server.store.rows import Row


class Moved(msgspec.Struct, frozen=True):
    """How far a table has been moved: `done` of `total` rows. `left` could not be moved, and why is `reason`."""

    table: str
    total: int
    done: int
    left: int = 0
    reason: str = ""


Told = Callable[[Moved], None]
KEYS_STAY = "kept as digests, which a database of this kind has no use for"


async def move(source: Export, target: Import, told: Told) -> Sequence[Moved]:
    """Move all rows, telling of each page, and compare the counts; StoreRefused if this is not safe."""
    await refuse_live(source, target)
    mark = Mark(_name_of(source), (await source.next_ids())["node"], PASSING)
    await _begin(source, target, mark)
    moved = [await _move_table(table, source, target, told) for table in TABLES]
    await refuse_live(source, target)
    await target.settle()
    await _verify(moved, target)
    await target.forget(mark.name)
    return moved


async def refuse_live(*databases: Export) -> None:
    """StoreRefused if nodes work on one of them."""
    for database in databases:
        if nodes := await database.live_nodes():
            raise StoreRefused(
                f"{database.label}: {', '.join(nodes)} works on it, or did 15 s ago; stop all servers first"
            )


async def _begin(source: Export, target: Import, mark: Mark) -> None:
    before = await target.mark(mark.name)
    if before is None:
        for table in TABLES:
            if await target.last_key(table) is not None:
                raise StoreRefused(
                    f"{target.label} has rows of its own in the table {table.name}; move into an empty one"
                )
        await target.put({}, mark)
    elif before != mark.last_id:
        raise StoreRefused(
            f"a server has worked on {source.label} since it was moved in part; empty {target.label} and begin again"
        )
    next_ids = await source.next_ids()
    if before is not None and (await target.next_ids())["node"] > next_ids["node"]:
        raise StoreRefused(f"a server has worked on {target.label}, which is moved in part; empty it and begin again")
    await target.reserve(next_ids)


async def _move_table(table: Table, source: Export, target: Import, told: Told) -> Moved:
    total = await source.count(table)
    if table is ONCE and source.keeps_digests and not target.keeps_digests:
        return Moved(table.name, total, 0, left=total, reason=KEYS_STAY)
    after = await _resume_after(table, target)
    done = 0 if after is None else await target.count(table)
    while rows := await source.page(table, after):
        await target.put({table: rows})
        after = table.key_of(rows[-1])
        done += len(rows)
        told(Moved(table.name, total, done))
    return Moved(table.name, total, done)


async def _resume_after(table: Table, target: Import) -> Row | None:
    """Where to go on. The order of texts is not the same everywhere, so tables that have them in keys begin again."""
    return None if table in (ONCE, TAG) else await target.last_key(table)


async def _verify(moved: Sequence[Moved], target: Import) -> None:
    for one, table in zip(moved, TABLES, strict=True):
        there = await target.count(table)
        if there != one.total - one.left:
            raise StoreRefused(
                f"{target.label} has {there:,} rows in the table {table.name} instead of {one.total - one.left:,}; "
                "somebody has written to one of the two: empty it and begin again"
            )


def _name_of(source: Export) -> str:
    return "store " + hashlib.sha256(source.label.encode()).hexdigest()
