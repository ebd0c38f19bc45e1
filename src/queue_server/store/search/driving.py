"""Carrying a search out: it says what it wants to read, and goes on with what was read.

All queries of one search have to be answered from one snapshot.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

from queue_server.store.search.dialect import Rows
from queue_server.store.search.fragments import Fragment

T = TypeVar("T")


def drive(search: Generator[Fragment, Rows, T], rows_of: Callable[[Fragment], Rows]) -> T:
    """What a search finds, where queries block."""
    try:
        query = next(search)
        while True:
            query = search.send(rows_of(query))
    except StopIteration as end:
        return end.value


async def drive_async(search: Generator[Fragment, Rows, T], rows_of: Callable[[Fragment], Awaitable[Rows]]) -> T:
    """What a search finds, where queries are awaited."""
    try:
        query = next(search)
        while True:
            query = search.send(await rows_of(query))
    except StopIteration as end:
        return end.value
