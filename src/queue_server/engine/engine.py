"""The engine: one node's parts, started together and stopped in good order."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import msgspec

from queue_server.clock import ServerClock
from queue_server.domain.command import ExecCommand
from queue_server.domain.errors import StoreError
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.engine.cleaner import ROUND_S, Cleaner
from queue_server.engine.dispatcher import Dispatcher
from queue_server.engine.heartbeat import HeartbeatThread
from queue_server.engine.lease import HELD_S, Lease, LeaseWatch
from queue_server.engine.operator import POLL_S, Operator
from queue_server.engine.outage import Outage
from queue_server.engine.rescuer import SCAN_S, Rescuer
from queue_server.engine.runner import Runner
from queue_server.engine.slots import SlotPool
from queue_server.engine.strays import Strays
from queue_server.engine.upkeep import Upkeep
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
        clock: ServerClock,
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
        self._outage = Outage(log)
        self._upkeep = Upkeep(store, chance, self._outage)
        self._lease_watch: LeaseWatch | None = None
        self._operation_added = asyncio.Event()
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._grace = 0.0

    async def run(self, node: Node) -> None:
        """Run jobs until `stop`; then let them end, give back the rest, and return."""
        for executor in self._executors.values():
            await executor.start()
        lease = Lease(self._clock.steady)
        heartbeat = HeartbeatThread(self._store.heartbeat(node.id), lease, self._clock, self._outage)
        heartbeat.start()
        try:
            dispatcher = self._dispatcher(node)
            strays = Strays(self._store, node.id, dispatcher, self._rescuer, self._outage)
            await self._serve(dispatcher, lease, strays)
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
        self._operation_added.set()

    @property
    def running(self) -> int:
        """Jobs that have a slot."""
        return self._slots.used

    @property
    def is_cut_off(self) -> bool:
        """Whether the node has lost its lease, and so runs nothing until the database has confirmed it again."""
        return self._lease_watch is not None and not self._lease_watch.is_held

    def _dispatcher(self, node: Node) -> Dispatcher:
        return Dispatcher(
            self._store,
            node.id,
            slots=self._slots,
            clock=self._clock,
            start=self._start,
            ended=self._ended,
            events=self._events,
            log=self._log,
            outage=self._outage,
        )

    def _start(self, job: Job) -> None:
        self._runner.start(job)
        if self.is_cut_off:  # its claim was on its way when the lease was lost
            self._runner.interrupt(job.id, job.claim_seq)

    async def _serve(self, dispatcher: Dispatcher, lease: Lease, strays: Strays) -> None:
        async with asyncio.TaskGroup() as parts:
            self._runner.on_decision(dispatcher.put)
            self._store.on_cancel(self._runner.cancel)
            if rescued := await self._rescue_at_start():
                self._log.info("jobs of the last run given back", jobs=rescued)
            upkeep = [parts.create_task(part) for part in self._parts_that_take_turns()]
            if self._store.is_shared:
                upkeep.append(parts.create_task(strays.run()))
            watch = parts.create_task(self._watch(lease, dispatcher))
            parts.create_task(dispatcher.run())
            self._ready.set()
            await self._stop.wait()
            await dispatcher.stop_claiming()
            for task in upkeep:
                task.cancel()
            await self._drain()
            await self._runner.wait_idle(None)
            watch.cancel()
            dispatcher.close()

    def _parts_that_take_turns(self) -> Iterator[Coroutine[Any, Any, None]]:
        yield self._upkeep.run(self._rescuer.look, SCAN_S)
        yield self._upkeep.run(self._operator.look, POLL_S, self._operation_added)
        yield self._upkeep.run(self._cleaner.clean, ROUND_S)

    async def _rescue_at_start(self) -> int:
        try:
            return await self._rescuer.rescue()
        except StoreError as error:
            self._outage.noticed(error)
            return 0

    async def _watch(self, lease: Lease, dispatcher: Dispatcher) -> None:
        """Stop the work whenever the lease is lost. A store that only this node uses needs none."""
        if not self._store.is_shared:
            return

        def lost() -> None:
            dispatcher.pause_claiming()
            jobs = self._runner.interrupt_all()
            self._log.warning(f"no heartbeat was confirmed for {HELD_S:g} s: running jobs interrupted", jobs=jobs)

        def regained() -> None:
            dispatcher.resume_claiming()
            self._log.info("heartbeats are confirmed again: taking jobs")

        self._lease_watch = LeaseWatch(lease, lost, regained)
        await self._lease_watch.run()

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
