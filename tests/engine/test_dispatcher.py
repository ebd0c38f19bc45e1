"""Turns that fail: the dispatcher neither spins nor gives up. Jobs that are overdue: it ends them without a slot."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from queue_server.clock import SystemClock
from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.engine import dispatcher as dispatcher_module
from queue_server.engine.dispatcher import Dispatcher
from queue_server.engine.outage import Outage
from queue_server.engine.slots import SlotPool
from queue_server.store.contract import Claim, Turn
from queue_server.telemetry.job_events import JobEvents
from tests.builders.jobs import EXEC, HTTP, NOW, decided, new_job
from tests.builders.stores import SqliteBackend, opened


class RefusingStore:
    """A store in which nothing can be claimed; notes when it was asked, and says when that was often enough."""

    def __init__(self, error: StoreError, attempts: int) -> None:
        self._error = error
        self._attempts = attempts
        self.asked_at: list[float] = []
        self.enough = asyncio.Event()

    is_shared = False

    def on_arrival(self, listener: object) -> None:
        """Nothing arrives."""

    async def turn(self, transitions: Sequence[Transition], claim: Claim | None) -> Turn:
        """Refuse to claim."""
        if claim is None:
            return Turn([True] * len(transitions))
        self.asked_at.append(asyncio.get_running_loop().time())
        if len(self.asked_at) == self._attempts:
            self.enough.set()
        raise self._error


class Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, event: str, **_fields: Any) -> None:
        """Keep a warning."""
        self.warnings.append(event)


def test_overdue_jobs_are_ended_take_no_slot_and_hold_up_no_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(SqliteBackend(tmp_path)) as store:
            node = await store.register("here", 3, NOW)
            await store.add([new_job(priority=900, expires_at=NOW, callback_done=HTTP) for _ in range(10)])
            await store.add([new_job(EXEC) for _ in range(5)])
            slots, is_done, ended = SlotPool(3, 3, lambda: 0), asyncio.Event(), list[tuple[State, bool]]()

            def start(job: Job) -> None:
                assert slots.used <= 3
                dispatcher.put(job, decided(job))

            def note(_job: Job, change: Transition, is_applied: bool) -> None:
                ended.append((change.state, is_applied))
                if len(ended) == 25:
                    is_done.set()

            dispatcher = Dispatcher(
                store,
                node.id,
                slots=slots,
                clock=SystemClock(),
                start=start,
                ended=note,
                events=JobEvents(SystemClock(), "run"),
                log=Lines(),
                outage=Outage(Lines()),
            )
            running = asyncio.create_task(dispatcher.run())
            await asyncio.wait_for(is_done.wait(), 30)
            dispatcher.close()
            await running
            assert sorted(ended) == [(State.COMPLETED, True)] * 15 + [(State.FAILED, True)] * 10
            assert (await store.counts())[State.COMPLETED] == 15, "the good ones and ten callbacks"
            assert slots.used == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [StoreUnavailable("the disk is full"), StoreError("something else")])
def test_failing_claims_are_tried_again_ever_more_seldom(error: StoreError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher_module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(dispatcher_module, "LONGEST_PAUSE_S", 0.008)

    async def scenario() -> None:
        store, log = RefusingStore(error, attempts=8), Lines()
        dispatcher = Dispatcher(
            store,
            1,
            slots=SlotPool(10, 1, lambda: 0),
            clock=SystemClock(),
            start=lambda _job: None,
            ended=lambda _job, _transition, _applied: None,
            events=JobEvents(SystemClock(), "run"),
            log=log,
            outage=Outage(log),
        )
        running = asyncio.create_task(dispatcher.run())
        await asyncio.wait_for(store.enough.wait(), 10)
        dispatcher.close()
        await running
        gaps = [later - earlier for earlier, later in zip(store.asked_at, store.asked_at[1:], strict=False)]
        assert all(gap >= 0.0079 for gap in gaps[3:]), gaps
        assert len(log.warnings) == 1

    asyncio.run(scenario())
