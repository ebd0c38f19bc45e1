"""The store's contract on one PostgreSQL database."""

from collections.abc import Callable, Collection, Mapping, Sequence

from queue_server.clock import ServerClock
from queue_server.domain.audit import Act
from queue_server.domain.job import Attempt, Job, JobRecord, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import Output
from queue_server.domain.secret import KeptSecret, Kind
from queue_server.domain.state import State
from queue_server.domain.tokens import NewToken, Token
from queue_server.domain.wishes import CancelWish
from queue_server.store.contract import (
    Added,
    Amended,
    ArrivalListener,
    CancelListener,
    Claim,
    IdPage,
    JobFilter,
    JobPage,
    JobQuery,
    NewOperation,
    Node,
    Operation,
    Rule,
    Step,
    Turn,
)
from queue_server.store.front import Front
from queue_server.store.keeping import NewSecret
from queue_server.store.postgres import finding
from queue_server.store.postgres.adding import Adding
from queue_server.store.postgres.address import Address, parse_address
from queue_server.store.postgres.amending import Amending
from queue_server.store.postgres.counting import Counting
from queue_server.store.postgres.faults import refusal
from queue_server.store.postgres.keeping import Keeping
from queue_server.store.postgres.looking import Looking
from queue_server.store.postgres.migrating import migrate
from queue_server.store.postgres.nodes import Nodes, PostgresHeartbeat
from queue_server.store.postgres.pool import Pool
from queue_server.store.postgres.purging import Purging
from queue_server.store.postgres.reading import Reading
from queue_server.store.postgres.session import PLAIN, READING, UPKEEP, WRITING, Session, connect
from queue_server.store.postgres.signals import Signals
from queue_server.store.postgres.turns import Turns
from queue_server.store.postgres.warnings import warnings_of
from queue_server.store.pulse import Pulse
from queue_server.store.relay import Followed


class PostgresStore:
    """See Store. Belongs to the event loop that it was opened in."""

    is_shared = True

    def __init__(self, address: Address, clock: ServerClock, warnings: Sequence[str]) -> None:
        self.warnings = warnings
        readers = address.pool // 2 - 1
        self._upkeep = Pool(address, UPKEEP, 1)
        self._readers = Pool(address, READING, readers)
        self._writers = Pool(address, WRITING, address.pool - readers - 1)
        self._nodes = Nodes(self._writers, address, clock)
        self._looking = Looking(self._upkeep, self._nodes)
        self._pulse = Pulse(self._looking, clock)
        self._signals = Signals(address, self._arrived, self._pulse.hurry)
        self._arrival_listeners: list[ArrivalListener] = []
        self._cancel_listeners: list[CancelListener] = []
        self._front = Front(clock.monotonic)
        self._adding = Adding(self._writers, self._front, self._tell_arrival)
        self._turns = Turns(self._writers, self._front, self._tell_arrival)
        self._amending = Amending(self._writers, self._tell_arrival)
        self._purging = Purging(self._writers)
        self._counting = Counting(address, self._readers, self._writers, self._upkeep, clock)
        self._keeping = Keeping(self._readers, self._writers)
        self._reading = Reading(self._readers)

    @classmethod
    async def open(cls, db: str, clock: ServerClock) -> "PostgresStore":
        """Migrate the database and use it; its time is the clock's from now on. StoreRefused where it can't be."""
        address = parse_address(db)
        try:
            session = await connect(address, PLAIN)
            try:
                await migrate(session, address)
                await _follow(clock, session)
                return cls(address, clock, await warnings_of(session))
            finally:
                await session.close()
        except Exception as error:  # noqa: BLE001 (a person is told in one line)
            raise refusal(error, address.label) from None

    @property
    def nodes(self) -> int:
        """See Store.nodes."""
        return self._pulse.nodes

    async def register(self, name: str, slots: int, now: int) -> Node:
        """See Store.register."""
        node = await self._nodes.register(name, slots, now)
        await self._pulse.stop()
        self._pulse.start(node)
        self._signals.start(node.id)
        self._counting.start()
        return node

    async def deregister(self, node_id: int) -> None:
        """See Store.deregister."""
        await self._stop()
        await self._nodes.deregister(node_id)

    def heartbeat(self, node_id: int) -> PostgresHeartbeat:
        """See Store.heartbeat."""
        return self._nodes.heartbeat(node_id)

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[int]:
        """See Store.add. StoreUnavailable while too much waits for the database."""
        return await self._adding.add(jobs)

    async def add_once(self, jobs: Sequence[NewJob]) -> Added:
        """See Store.add_once. StoreUnavailable while too much waits for the database."""
        return await self._adding.add_once(jobs)

    async def turn(self, transitions: Sequence[Transition], claim: Claim | None) -> Turn:
        """See Store.turn."""
        return await self._turns.take(transitions, claim)

    async def expired(self, now: int, lease: int, limit: int) -> Sequence[Job]:
        """See Store.expired."""
        return await self._reading.expired(now, lease, limit)

    async def strays(self, node_id: int, known: Collection[int], limit: int) -> Sequence[Job]:
        """See Store.strays."""
        return await self._reading.strays(node_id, known, limit)

    async def overdue(self, now: int, limit: int) -> Sequence[Job]:
        """See Store.overdue."""
        return await self._reading.overdue(now, limit)

    async def amend(self, job_ids: Sequence[int], rule: Rule, step: Step | None = None) -> Sequence[Amended]:
        """See Store.amend."""
        amended = await self._amending.amend(job_ids, rule, step)
        self._front.forget()
        for one in amended:
            if isinstance(one.answer, CancelWish):
                self._tell_wish(one.answer, one.record)
        return amended

    async def purge(self, ended_before: Mapping[State, int], now: int, limit: int) -> int:
        """See Store.purge."""
        return await self._purging.page(ended_before, now, limit)

    async def counts(self) -> Mapping[State, int]:
        """See Store.counts."""
        return await self._counting.counts()

    async def count_contexts(self) -> None:
        """See Store.count_contexts."""
        await self._counting.count_contexts()

    async def waiting_in(self, context: str, limit: int) -> int:
        """See Store.waiting_in."""
        return await self._counting.waiting_in(context, limit)

    async def total_slots(self, now: int, lease: int) -> int:
        """See Store.total_slots."""
        return await self._nodes.total_slots(now, lease)

    async def get(self, job_id: int) -> JobRecord | None:
        """See Store.get."""
        return await self._reading.get(job_id)

    async def find(self, query: JobQuery) -> JobPage:
        """See Store.find."""
        return await finding.find(self._readers, query)

    async def find_ids(self, wanted: JobFilter, *, after: int, last: int, limit: int) -> IdPage:
        """See Store.find_ids."""
        return await finding.find_ids(self._readers, wanted, after=after, last=last, limit=limit)

    async def last_id(self) -> int:
        """See Store.last_id."""
        return await self._reading.last_id()

    async def add_operation(self, operation: NewOperation) -> int:
        """See Store.add_operation."""
        return await self._amending.add_operation(operation)

    async def operation(self, operation_id: int) -> Operation | None:
        """See Store.operation."""
        return await self._reading.operation(operation_id)

    async def operations(self, before_id: int, limit: int) -> Sequence[Operation]:
        """See Store.operations."""
        return await self._reading.operations(before_id, limit)

    async def open_operations(self) -> Sequence[Operation]:
        """See Store.open_operations."""
        return await self._reading.open_operations()

    async def ahead(self, record: JobRecord, limit: int) -> int:
        """See Store.ahead."""
        return await self._reading.ahead(record, limit)

    async def attempts(self, job_id: int) -> Sequence[Attempt]:
        """See Store.attempts."""
        return await self._reading.attempts(job_id)

    async def output(self, job_id: int, number: int | None = None) -> Output | None:
        """See Store.output."""
        return await self._reading.output(job_id, number)

    async def secrets(self) -> Sequence[KeptSecret]:
        """See SecretStore.secrets."""
        return await self._keeping.secrets()

    async def put_secret(self, secret: NewSecret) -> int:
        """See SecretStore.put_secret."""
        return await self._keeping.put_secret(secret)

    async def delete_secret(self, kind: Kind, name: str) -> int:
        """See SecretStore.delete_secret."""
        return await self._keeping.delete_secret(kind, name)

    async def reseal_secrets(self, sealed: Mapping[int, str]) -> None:
        """See SecretStore.reseal_secrets."""
        await self._keeping.reseal_secrets(sealed)

    async def add_token(self, token: NewToken) -> int | None:
        """See TokenStore.add_token."""
        return await self._keeping.add_token(token)

    async def tokens(self) -> Sequence[Token]:
        """See TokenStore.tokens."""
        return await self._keeping.tokens()

    async def rotate_token(self, token_id: int, digest: bytes, old_until: int) -> bool:
        """See TokenStore.rotate_token."""
        return await self._keeping.rotate_token(token_id, digest, old_until)

    async def revoke_token(self, token_id: int, now: int) -> bool:
        """See TokenStore.revoke_token."""
        return await self._keeping.revoke_token(token_id, now)

    async def note_used(self, times: Mapping[int, int]) -> None:
        """See TokenStore.note_used."""
        await self._keeping.note_used(times)

    async def add_act(self, act: Act) -> None:
        """See AuditStore.add_act."""
        await self._keeping.add_act(act)

    async def acts(self, before_id: int, limit: int) -> Sequence[Act]:
        """See AuditStore.acts."""
        return await self._keeping.acts(before_id, limit)

    async def purge_acts(self, before: int, limit: int) -> int:
        """See AuditStore.purge_acts."""
        return await self._keeping.purge_acts(before, limit)

    def on_arrival(self, listener: ArrivalListener) -> None:
        """See Store.on_arrival."""
        self._arrival_listeners.append(listener)
        self._pulse.on_arrival(listener)

    def on_cancel(self, listener: CancelListener) -> None:
        """See Store.on_cancel."""
        self._cancel_listeners.append(listener)
        self._pulse.on_cancel(listener)

    def on_end(self, waited: Callable[[], Collection[int]], listener: Callable[[int], None]) -> None:
        """See Store.on_end."""
        self._pulse.on_end(waited, listener)

    def follow(self, followed: Collection[Followed]) -> None:
        """See Follows.follow."""
        self._pulse.follow(followed)

    def on_followed(self, listener: Callable[[Sequence[Followed]], None]) -> None:
        """See Follows.on_followed."""
        self._pulse.on_followed(listener)

    def on_kept(self, listener: Callable[[], None]) -> None:
        """See Store.on_kept."""
        self._pulse.on_kept(listener)

    def on_failure(self, listener: Callable[[str], None]) -> None:
        """See Store.on_failure. What a database server does not survive it recovers from: nothing is lost for good."""

    @property
    def is_relaying(self) -> bool:
        """See Relay.is_relaying."""
        return self._pulse.is_relaying

    def relay(self, message: bytes) -> None:
        """See Relay.relay."""
        if self._pulse.is_relaying:
            self._pulse.relay(message)
            self._signals.tell_other()

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """See Relay.on_relayed."""
        self._pulse.on_relayed(listener)

    def want_relayed(self, wanted: bool) -> None:
        """See Relay.want_relayed."""
        self._pulse.want_relayed(wanted)

    async def close(self) -> None:
        """See Store.close."""
        await self._stop()
        await self._nodes.close()
        for pool in (self._writers, self._readers, self._upkeep):
            await pool.close()

    async def _stop(self) -> None:
        await self._pulse.stop()
        await self._signals.stop()
        await self._counting.stop()

    def _arrived(self, run_at: int) -> None:
        for listener in self._arrival_listeners:
            listener(run_at)

    def _tell_arrival(self, run_at: int) -> None:
        """Jobs of this node have become durable: it is told at once, the others are woken."""
        self._arrived(run_at)
        if self._pulse.nodes > 1:
            self._signals.tell_arrival(run_at)

    def _tell_wish(self, wish: CancelWish, record: JobRecord) -> None:
        if record.node_id in self._nodes:
            self._looking.told(wish.job_id, wish.claim_seq)
            for listener in self._cancel_listeners:
                listener(wish.job_id, wish.claim_seq, wish.reason)
        elif self._pulse.nodes > 1:
            self._signals.tell_other()


async def _follow(clock: ServerClock, session: Session) -> None:
    asked_at = clock.steady()
    clock.follow(await session.value("told_at"), asked_at)
