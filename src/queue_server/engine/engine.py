"""The engine: one node's parts, started together and stopped in good order."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import msgspec

from queue_server.clock import Clock
from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import StoreError
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.engine.cleaner import Cleaner
from queue_server.engine.dispatcher import Dispatcher
from queue_server.engine.heartbeat import HeartbeatThread
from queue_server.engine.operator import Operator
from queue_server.engine.rescuer import Rescuer
from queue_server.engine.runner import Runner
from queue_server.engine.slots import SlotPool
from queue_server.executors.contract import Executor
from queue_server.store.contract import Amended, Node, Operation, Rule, Store
from queue_server.telemetry.job_events import JobEvents
from queue_server.telemetry.job_log import JobLog
from queue_server.telemetry.logs import Log


class EngineOptions(msgspec.Struct, frozen=True):
    """How many jobs run here, and how long final ones and the audit log are kept (seconds)."""

    slots: int
    exec_slots: int
    retention: Mapping[State, float]
    retention_audit: float = 365 * 86_400.0


class Engine:
    """Runs jobs on this node from `start` to `stop`."""

    def __init__(
        self,
        store: Store,
        *,
        executors: Mapping[type, Executor],
        clock: Clock,
        chance: Callable[[], float],
        options: EngineOptions,
        log: Log,
        job_log: JobLog,
        events: JobEvents,
        rule_of: Callable[[Operation], Rule],
        amended: Callable[[Amended], None],
    ) -> None:
        self._store = store
        self._executors = executors
        self._clock = clock
        self._log = log
        self._job_log = job_log
        self._events = events
        self._slots = SlotPool(options.slots, options.exec_slots, _ahead(executors))
        self._runner = Runner(executors, clock, chance, log)
        self._rescuer = Rescuer(store, clock=clock, chance=chance, ended=self._ended_elsewhere, events=events, log=log)
        self._operator = Operator(store, clock=clock, rule_of=rule_of, amended=amended, log=log)
        self._cleaner = Cleaner(store, clock, options.retention, options.retention_audit, log)
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._grace = 0.0

    async def run(self, node: Node) -> None:
        """Run jobs until `stop`; then let them end, give back the rest, and return."""
        for executor in self._executors.values():
            await executor.start()
        heartbeat = HeartbeatThread(self._store.heartbeat(node.id), self._clock, self._log)
        heartbeat.start()
        try:
            await self._serve(self._dispatcher(node))
        finally:
            await asyncio.to_thread(heartbeat.stop)
            for executor in self._executors.values():
                await executor.stop()
        with contextlib.suppress(StoreError):
            await self._store.deregister(node.id)

    async def wait_ready(self) -> None:
        """Return when lost jobs have been given back and new ones are taken."""
        await self._ready.wait()

    def stop(self, grace: float) -> None:
        """Claim no more; running jobs may go on for `grace` seconds. A second call may shorten that."""
        self._grace = grace
        self._stop.set()
        if grace == 0:
            self._runner.interrupt_all()

    def operation_added(self) -> None:
        """There is an operation to carry out."""
        self._operator.wake()

    @property
    def running(self) -> int:
        """Jobs that have a slot."""
        return self._slots.used

    def _dispatcher(self, node: Node) -> Dispatcher:
        return Dispatcher(
            self._store,
            node.id,
            slots=self._slots,
            clock=self._clock,
            start=self._runner.start,
            ended=self._ended,
            events=self._events,
            log=self._log,
        )

    async def _serve(self, dispatcher: Dispatcher) -> None:
        async with asyncio.TaskGroup() as parts:
            self._runner.on_decision(dispatcher.put)
            self._store.on_cancel(self._runner.cancel)
            if rescued := await self._rescue_at_start():
                self._log.info("jobs of the last run given back", jobs=rescued)
            upkeep = [parts.create_task(part.run()) for part in (self._rescuer, self._operator, self._cleaner)]
            parts.create_task(dispatcher.run())
            self._ready.set()
            await self._stop.wait()
            await dispatcher.stop_claiming()
            for task in upkeep:
                task.cancel()
            await self._drain()
            await self._runner.wait_idle(None)
            dispatcher.close()

    async def _rescue_at_start(self) -> int:
        try:
            return await self._rescuer.rescue()
        except StoreError as error:
            self._log.warning("can't look for lost jobs, trying again", error=str(error))
            return 0

    async def _drain(self) -> None:
        """Let running jobs end within the grace time, then interrupt them."""
        if self._slots.used and self._grace:
            self._log.info("waiting for running jobs", jobs=self._slots.used, at_most_s=self._grace)
        if not await self._runner.wait_idle(self._grace):
            count = self._runner.interrupt_all()
            self._log.info("running jobs interrupted and given back", jobs=count)

    def _ended_elsewhere(self, job: Job, change: Transition) -> None:
        self._job_log.ended(job, change)
        if self._events.is_heard:
            self._events.ended(job, change)

    def _ended(self, job: Job, change: Transition, applied: bool) -> None:
        if applied:
            self._ended_elsewhere(job, change)
        elif change.continues:
            self._log.debug("its target had reported the result before it answered", job_id=job.id, claim=job.claim_seq)
        else:
            self._log.warning("result dropped: the job is no longer this claim's", job_id=job.id, claim=job.claim_seq)


def _ahead(executors: Mapping[type, Executor]) -> Callable[[], int]:
    """How many commands may be claimed beyond their slots; none where commands are off."""
    executor = executors.get(ExecCommand)
    return executor.ahead if executor else lambda: 0
