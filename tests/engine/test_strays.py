"""Jobs whose claim's answer was lost on its way are given back by the node that has them without knowing."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from queue_server.clock import SystemClock
from queue_server.domain.errors import StoreUnavailable
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.engine.dispatcher import Dispatcher
from queue_server.engine.outage import Outage
from queue_server.engine.rescuer import Rescuer
from queue_server.engine.slots import SlotPool
from queue_server.engine.strays import Strays
from queue_server.store.contract import Claim, Store, Turn
from queue_server.telemetry.job_events import JobEvents
from tests.builders.jobs import NOW, new_job
from tests.builders.postgres_backend import PostgresBackend
from tests.builders.stores import opened

JOBS = 3


class Deaf:
    """A store whose answer to the first claim that takes jobs never arrives."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_shared, self.on_arrival = True, store.on_arrival
        self.lost = asyncio.Event()

    async def turn(self, transitions: Sequence[Transition], claim: Claim | None) -> Turn:
        """See Store.turn."""
        turn = await self._store.turn(transitions, claim)
        if turn.claimed.jobs and not self.lost.is_set():
            self.lost.set()
            raise StoreUnavailable("the database does not answer")
        return turn


class Quiet:
    """A log of which nobody wants to know."""

    def warning(self, event: str, **_fields: Any) -> None:
        """See Log."""

    info = error = debug = warning


def test_jobs_of_a_claim_without_answer_are_given_back_and_those_that_run_are_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(PostgresBackend(tmp_path)) as store:
            node, deaf, clock = await store.register("here", JOBS, NOW), Deaf(store), SystemClock()
            await store.add([new_job() for _ in range(JOBS)])
            events, outage, started = JobEvents(clock, "run"), Outage(Quiet()), asyncio.Queue[Job]()
            dispatcher = Dispatcher(
                deaf,
                node.id,
                slots=SlotPool(JOBS, 1, lambda: 0),
                clock=clock,
                start=started.put_nowait,
                ended=lambda _job, _change, _applied: None,
                events=events,
                log=Quiet(),
                outage=outage,
            )
            rescuer = Rescuer(
                store, clock=clock, chance=lambda: 0, ended=lambda _job, _change: None, events=events, log=Quiet()
            )
            strays = Strays(store, node.id, dispatcher, rescuer, outage)
            running = asyncio.create_task(dispatcher.run())
            await asyncio.wait_for(deaf.lost.wait(), 10)
            assert (await store.counts())[State.RUNNING] == JOBS
            assert await strays.give_back() == JOBS
            again = [await asyncio.wait_for(started.get(), 10) for _ in range(JOBS)]
            assert [(job.claim_seq, job.losses, job.refunded) for job in again] == [(2, 0, 1)] * JOBS
            assert await strays.give_back() == 0
            assert (await store.counts())[State.RUNNING] == JOBS
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(scenario())
