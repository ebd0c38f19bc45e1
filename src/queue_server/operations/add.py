"""Accepting a job: defaults, policy, and the promise that it is durable."""

import msgspec
from msgspec import UNSET

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.domain.command import ExecCommand, command_type
from queue_server.domain.errors import NotAllowed, StoreUnavailable
from queue_server.domain.instants import parse_instant
from queue_server.domain.job import JobRequest, NewJob, Plan, encode_plan
from queue_server.domain.lifecycle import first_state
from queue_server.domain.state import State
from queue_server.store.contract import JobRecord, Store

SECOND = 1_000_000
FULL_RETRY_AFTER_S = 10
EXEC_OFF = (
    "commands are switched off on this server; start it with --exec any (setting exec) to run them: "
    "then whoever can add a job can run any command as the server's user"
)


class Accepted(msgspec.Struct, frozen=True):
    """A job that is stored."""

    id: int
    row: NewJob
    plan: Plan

    def record(self) -> JobRecord:
        """The job as it was when it was accepted; by now it may be running."""
        return JobRecord(
            id=self.id,
            state=self.row.state,
            priority=self.row.priority,
            run_at=self.row.run_at,
            context=self.row.context,
            attempt=0,
            claim_seq=0,
            node_id=None,
            created_at=self.row.created_at,
            claimed_at=None,
            ended_at=None,
            reason="",
            parent_id=None,
            plan=self.plan,
        )


class AddJob:
    """Accepts jobs while the server takes them."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self.is_closed = False

    async def __call__(self, request: JobRequest) -> "Accepted":
        """Store the job; it is durable when this returns.

        NotAllowed when a setting forbids it; StoreUnavailable when the server is stopping, the queue is full, or the
        store can't be written: then nothing was stored.
        """
        self._check_policy(request)
        await self._check_room()
        plan = plan_of(request)
        row = self._row(request, plan)
        (job_id,) = await self._store.add((row,))
        return Accepted(job_id, row, plan)

    def _check_policy(self, request: JobRequest) -> None:
        if self._settings.exec != "off":
            return
        for path, command in (
            ("/command", request.command),
            ("/callback_done", request.callback_done),
            ("/callback_failed", request.callback_failed),
        ):
            if isinstance(command, ExecCommand):
                raise NotAllowed(path, EXEC_OFF)

    async def _check_room(self) -> None:
        if self.is_closed:
            raise StoreUnavailable("the server is stopping", retry_after=FULL_RETRY_AFTER_S)
        counts = await self._store.counts()
        waiting = counts[State.SCHEDULED] + counts[State.AVAILABLE]
        if waiting >= self._settings.max_waiting:
            raise StoreUnavailable(
                f"the queue is full: {waiting} jobs wait (setting max_waiting)",
                retry_after=FULL_RETRY_AFTER_S,
            )

    def _row(self, request: JobRequest, plan: Plan) -> NewJob:
        now = self._clock.now()
        run_at = now
        if request.run_at is not None:
            run_at = max(now, parse_instant(request.run_at))
        elif request.delay:
            run_at = now + round(request.delay * SECOND)
        return NewJob(
            state=first_state(run_at, now),
            priority=self._settings.default_priority if request.priority is UNSET else request.priority,
            run_at=run_at,
            created_at=now,
            context=self._settings.default_context if request.context is UNSET else request.context,
            type=command_type(request.command),
            payload=encode_plan(plan),
        )


def plan_of(request: JobRequest) -> Plan:
    """What is kept of the request as the job's payload."""
    return Plan(request.command, request.callback_done, request.callback_failed, request.retry)
