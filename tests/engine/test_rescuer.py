"""Jobs that can't end by themselves are ended: lost ones, those that did not start in time, those that fell silent."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import FAILED, OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.domain.state import State
from queue_server.engine.rescuer import PAGE, Rescuer
from queue_server.store.contract import Claim, Store, Turn
from queue_server.telemetry.job_events import JobEvents
from tests.builders.jobs import HTTP, NOW, SECOND, decided, new_job
from tests.builders.rules import cancelling
from tests.builders.stores import SqliteBackend, add_and_claim, add_and_continue, add_one, amend_one, claim, opened


class SetClock:
    """Stands where it was set."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> int:
        """See Clock.now."""
        return self.time

    def monotonic(self) -> float:
        """See Clock.monotonic."""
        return self.time / SECOND


class Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.errors: list[int] = []

    def error(self, _event: str, *, job_id: int, **_fields: Any) -> None:
        """Keep the id that an error is about."""
        self.errors.append(job_id)


class Picky:
    """A store in which the end of some jobs can't be written."""

    def __init__(self, store: Store, *refused: int) -> None:
        self._store = store
        self._refused = set(refused)
        self.expired, self.overdue = store.expired, store.overdue

    async def turn(self, transitions: Sequence[Transition], wish: Claim | None) -> Turn:
        """See Store.turn."""
        if self._refused & {change.job_id for change in transitions}:
            raise StoreError("can't be stored")
        return await self._store.turn(transitions, wish)


class Stage:
    """A store, the rescuer that works on it, and what it told."""

    def __init__(self, store: Any) -> None:
        self.clock, self.log = SetClock(), Lines()
        self.ended: list[tuple[int, State]] = []
        self.events = JobEvents(self.clock, "run")
        self.rescuer = Rescuer(
            store, clock=self.clock, chance=lambda: 0.5, ended=self._note, events=self.events, log=self.log
        )

    def _note(self, job: Job, change: Transition) -> None:
        self.ended.append((job.id, change.state))


def on_store(test: Callable[[Store], Awaitable[None]], folder: Path) -> None:
    """Run a test with a new store."""

    async def scenario() -> None:
        async with opened(SqliteBackend(folder)) as store:
            await test(store)

    asyncio.run(scenario())


def test_waiting_and_silent_jobs_are_ended_when_their_time_is_over(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        node = await store.register("here", 9, NOW)
        silent = await add_and_continue(store, node, new_job(retry=Retry(2, "none")), heartbeat=2)
        waiting = await add_one(store, new_job(expires_at=NOW + SECOND, callback_failed=HTTP))
        later = await add_one(store, new_job(delay=9 * SECOND, expires_at=NOW + 3 * SECOND))
        stage = Stage(store)
        assert await stage.rescuer.end_overdue() == 0
        stage.clock.time = NOW + 2 * SECOND
        assert await stage.rescuer.end_overdue() == 2
        assert stage.ended == [(waiting, State.FAILED), (silent.id, State.AVAILABLE)]
        assert (await store.get(silent.id)).error == "no heartbeat came in time from its target"
        (attempt,) = await store.attempts(silent.id)
        assert (attempt.started_at, attempt.ended_at) == (NOW, NOW + 2 * SECOND)
        assert (await store.get(later)).state is State.SCHEDULED
        jobs = await claim(store, node, now=NOW + 2 * SECOND)
        assert sorted(job.id for job in jobs) == [silent.id, later + 1], (
            "it is tried again; a callback tells of the other"
        )

    on_store(test, tmp_path)


def test_job_that_came_back_after_a_wish_to_cancel_it_is_cancelled_for_its_reason(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        node = await store.register("here", 9, NOW)
        job = await add_and_claim(store, node, new_job(retry=Retry(9, "fixed", 60.0)))
        before = decided(job, FAILED)
        await amend_one(store, job.id, cancelling("enough"))
        await store.turn([before], None)
        stage = Stage(store)
        assert await stage.rescuer.end_overdue() == 1
        record = await store.get(job.id)
        assert (record.state, record.reason) == (State.CANCELLED, "enough")

    on_store(test, tmp_path)


def test_lost_jobs_are_given_back_and_those_that_go_on_are_left(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        node = await store.register("here", 9, NOW)
        lost = await add_and_claim(store, node, new_job())
        goes_on = await add_and_continue(store, node, new_job())
        wished = await add_and_claim(store, node, new_job())
        await amend_one(store, wished.id, cancelling("enough"))
        await store.deregister(node.id)
        stage = Stage(store)
        assert await stage.rescuer.rescue() == 2
        assert stage.ended == [(lost.id, State.AVAILABLE), (wished.id, State.CANCELLED)]
        assert (await store.get(wished.id)).outcome is OutcomeKind.LEASE_EXPIRED
        assert (await store.get(goes_on.id)).is_continued

    on_store(test, tmp_path)


@pytest.mark.parametrize("count", [PAGE, 2 * PAGE + 50])
def test_more_than_a_page_is_ended_at_once(tmp_path: Path, count: int) -> None:
    async def test(store: Store) -> None:
        await store.add([new_job(expires_at=NOW) for _ in range(count)])
        stage = Stage(store)
        assert await stage.rescuer.end_overdue() == count
        assert (await store.counts())[State.FAILED] == len(stage.ended) == count

    on_store(test, tmp_path)


def test_job_that_can_not_be_ended_holds_up_no_other_and_is_tried_once(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        ids = await store.add([new_job(expires_at=NOW - 1)] + [new_job(expires_at=NOW) for _ in range(PAGE + 50)])
        stage = Stage(Picky(store, ids[0]))
        assert await stage.rescuer.end_overdue() == PAGE + 50
        assert set(stage.log.errors) == {ids[0]}
        assert (await store.get(ids[0])).state is State.AVAILABLE
        assert await stage.rescuer.end_overdue() == 0, "it does not spin"

    on_store(test, tmp_path)


def test_store_that_is_gone_is_no_bad_row(tmp_path: Path) -> None:
    async def test(store: Store) -> None:
        await store.add([new_job(expires_at=NOW)])
        stage = Stage(store)
        await store.close()
        with pytest.raises(StoreUnavailable):
            await stage.rescuer.end_overdue()

    async def scenario() -> None:
        await test(await SqliteBackend(tmp_path).open())

    asyncio.run(scenario())
