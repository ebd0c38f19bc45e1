"""Old jobs, keys and operations are deleted page by page until none is left."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from queue_server.domain.outcome import SUCCEEDED
from queue_server.domain.state import FINAL_STATES, State
from queue_server.engine import cleaner as cleaner_module
from queue_server.engine.cleaner import PAGE, Cleaner
from tests.builders.jobs import NOW, SECOND, decided, new_job, once
from tests.builders.stores import SqliteBackend, add_and_end, claim_all, opened


class Later:
    """Ten seconds after all that happened."""

    def now(self) -> int:
        """See Clock.now."""
        return NOW + 10 * SECOND

    def monotonic(self) -> float:
        """See Clock.monotonic."""
        return 0.0


class Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def info(self, _event: str, *, rows: int, **_fields: Any) -> None:
        """Keep how many rows were deleted."""
        self.rows.append(rows)


def test_everything_old_is_deleted_in_pages_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaner_module, "PAUSE_S", 0)

    async def scenario() -> None:
        async with opened(SqliteBackend(tmp_path)) as store:
            node = await store.register("here", 9, NOW)
            await store.add([new_job() for _ in range(PAGE + 50)])
            await store.add_once([new_job(once=once(f"k{n}", until=NOW + n)) for n in range(5)])
            await store.turn([decided(job) for job in await claim_all(store, node)], None)
            kept = await add_and_end(store, node, new_job(retention=60), SUCCEEDED)
            waiting, log = await store.add([new_job()]), Lines()
            cleaner = Cleaner(store, Later(), dict.fromkeys(FINAL_STATES, 5.0), 5.0, log)
            assert await cleaner.clean() == PAGE + 50 + 5 + 5
            assert log.rows == [PAGE + 60]
            counts = await store.counts()
            assert (counts[State.COMPLETED], counts[State.AVAILABLE]) == (1, 1)
            assert await store.get(kept) is not None
            assert await store.get(waiting[0]) is not None
            assert await cleaner.clean() == 0
            assert len(log.rows) == 1, "nothing to tell"

    asyncio.run(scenario())
