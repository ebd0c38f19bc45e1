"""The table of the first Queue Server, the PHP one, as a source of jobs."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class FirstRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of its rows. Times are µs since 1970 UTC; `output` is a part of `output_size` bytes."""

    id: int
    worker_status: int | None = None
    context: str | None = None
    params: str | None = None
    command: str | None = None
    job: str | None = None
    output: bytes = b""
    output_size: int = 0
    return_code: int | None = None
    priority: int | None = None
    added_at: int | None = None
    completed_at: int | None = None


class FirstTable(Protocol):
    """Reads it, and only reads."""

    @property
    def label(self) -> str:
        """The table as people know it, without passwords."""
        ...

    async def count(self, after: int) -> int:
        """How many rows have greater ids."""
        ...

    async def id_range(self) -> tuple[int, int] | None:
        """The smallest and the greatest id that a job can have; None if there is no such row."""
        ...

    async def page(self, after: int) -> Sequence[FirstRow]:
        """The next rows with greater ids, in their order; none only at the end."""
        ...

    async def ids_among(self, ids: Sequence[int]) -> Sequence[int]:
        """Which of these ids it has."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...
