"""A list, page after page."""

from collections.abc import Callable, Mapping
from typing import Any

from queue_server.client.asking import ask
from queue_server.client.exchange import Call, Exchange, Item
from queue_server.client.results import Page

PAGE_SIZE = 200


def listed(
    page_of: Callable[[Mapping[str, Any]], Call[Page[Any]]],
    query: Mapping[str, Any],
    limit: int | None,
    retry_for: float,
) -> Exchange[None]:
    """The items, up to `limit`. A page may be short, or empty, while there is a next one."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        size = PAGE_SIZE if left is None else min(left, PAGE_SIZE)
        page = yield from ask(page_of({**query, "limit": size, "cursor": cursor}), retry_for)
        for item in page.items[:size]:
            yield Item(item)
        left = None if left is None else left - len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return
