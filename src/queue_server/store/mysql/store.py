"""The store's contract on a MySQL or MariaDB database that many nodes share."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Self, TypeVar

from queue_server.clock import ServerClock
from queue_server.domain.audit import Act
from queue_server.domain.errors import StoreUnavailable
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
from queue_server.store.mysql import keeping
from queue_server.store.mysql.adding import Adding
from queue_server.store.mysql.address import Address, parse_address
from queue_server.store.mysql.amending import amend
from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.cancelling import Cancels
from queue_server.store.mysql.connection import Connection, connect
from queue_server.store.mysql.contexts import WaitingContexts
from queue_server.store.mysql.faults import TIME_LIMIT_S
from queue_server.store.mysql.finding import ahead, ask, find, find_ids
from queue_server.store.mysql.looking import Looking
from queue_server.store.mysql.migrating import migrate, starting
from queue_server.store.mysql.nodes import MysqlHeartbeat, register
from queue_server.store.mysql.pool import Pool
from queue_server.store.mysql.purging import Purge
from queue_server.store.mysql.transaction import Transaction
from queue_server.store.mysql.turns import Turns
from queue_server.store.mysql.upkeep import Upkeep
from queue_server.store.mysql.warnings import Server
from queue_server.store.pulse import Pulse
from queue_server.store.relay import Followed
from queue_server.store.rows import Row
from queue_server.store.rows.acts import act_of_row, row_of_act
from queue_server.store.rows.jobs import attempt_of_row, job_of_row, record_of_row
from queue_server.store.rows.operations import operation_of_row, row_of_operation
from queue_server.store.rows.tokens import token_of_row

LATE_S = 2.0
"""The server ends a query that takes too long; only if it does not, the connection is given up so much later."""

T = TypeVar("T")


class MysqlStore:
    """See Store."""

    is_shared = True

    def __init__(self, address: Address, server: Server, clock: ServerClock) -> None:
        self.warnings = server.warnings
        self._address = address
        self._server = server
        self._clock = clock
        chance = random.Random().random  # noqa: S311 (spreads retries; no secret)
        writing = max(2, address.pool // 2)
        self._writers = Pool(self._connect_writer, writing, chance, self._leave_demoted)
        self._readers = Pool(self._connect_reader, address.pool - writing - 1, chance)
        self._lookers = Pool(self._connect_looker, 1, chance)
        self._front = Front(clock.monotonic)
        self._adding = Adding(self._writers, self._front, self._arrived)
        self._turns = Turns(self._write, self._front)
        self._contexts = WaitingContexts(lambda: connect(address, autocommit=True, limit_s=None))
        self._upkeep = Upkeep(self._writers, clock.now)
        self._pulse = Pulse(Looking(self._lookers, self._writers, clock.now), clock)
        self._purge = Purge()
        self._is_closed = False
        self._heartbeats: dict[int, MysqlHeartbeat] = {}
        self._nodes: dict[int, Node] = {}
        self._arrival_listeners: list[ArrivalListener] = []
        self._cancels = Cancels()
        self._pulse.on_cancel(self._cancels.tell)

    @classmethod
    async def open(cls, db: str, clock: ServerClock) -> Self:
        """Open and migrate a database; StoreRefused if it can't be used. The clock is the database's from now on."""
        address = parse_address(db)
        async with starting(address) as (connection, server):
            await migrate(connection, server, address)
            await connection.tell_time(clock)
        store = cls(address, server, clock)
        store._upkeep.start()
        return store

    @property
    def nodes(self) -> int:
        """See Store.nodes."""
        return self._pulse.nodes

    async def register(self, name: str, slots: int, now: int) -> Node:
        """See Store.register. From now on it learns what other nodes do."""
        node = await self._write(lambda transaction: register(transaction, name, slots, now))
        self._nodes[node.id] = node
        await self._pulse.stop()
        self._pulse.start(node)
        return node

    async def deregister(self, node_id: int) -> None:
        """See Store.deregister."""
        await self._pulse.stop()
        await self._end_heartbeat(node_id)
        await self._write(lambda transaction: transaction.run("delete_node", node_id))

    def heartbeat(self, node_id: int) -> MysqlHeartbeat:
        """See Store.heartbeat, of a node that has registered here."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        if node_id not in self._heartbeats:
            self._heartbeats[node_id] = MysqlHeartbeat(self._connect_looker, self._clock, self._nodes[node_id])
        return self._heartbeats[node_id]

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
        return [job_of_row(row) for row in await self._ask("expired", now - lease, limit)]

    async def strays(self, node_id: int, known: Collection[int], limit: int) -> Sequence[Job]:
        """See Store.strays."""
        return [job_of_row(row) for row in await self._ask("strays", node_id, listed([*known]), limit)]

    async def overdue(self, now: int, limit: int) -> Sequence[Job]:
        """See Store.overdue."""
        return [job_of_row(row) for row in await self._ask("overdue", now, limit)]

    async def amend(self, job_ids: Sequence[int], rule: Rule, step: Step | None = None) -> Sequence[Amended]:
        """See Store.amend."""
        amended = await self._write(lambda transaction: amend(transaction, job_ids, rule, step))
        self._front.forget()
        for one in amended:
            if isinstance(one.answer, CancelWish) and one.record.node_id in self._nodes:
                self._cancels.tell(one.answer.job_id, one.answer.claim_seq, one.answer.reason)
        return amended

    async def purge(self, ended_before: Mapping[State, int], now: int, limit: int) -> int:
        """See Store.purge."""
        purge = self._purge
        deleted, self._purge = await self._write(lambda change: purge.page(change, ended_before, now, limit))
        return deleted

    async def counts(self) -> Mapping[State, int]:
        """See Store.counts."""
        found = {State(state): count for state, count in await self._ask("count")}
        return {state: found.get(state, 0) for state in State}

    async def count_contexts(self) -> None:
        """See Store.count_contexts."""
        await self._contexts.watch()

    async def waiting_in(self, context: str, limit: int) -> int:
        """See Store.waiting_in."""
        return await self._readers.read(lambda connection: self._contexts.of(connection, context, limit))

    async def total_slots(self, now: int, lease: int) -> int:
        """See Store.total_slots."""
        return (await self._ask("total_slots", now - lease))[0][0]

    async def get(self, job_id: int) -> JobRecord | None:
        """See Store.get."""
        rows = await self._ask("get", job_id)
        return record_of_row(rows[0]) if rows else None

    async def find(self, query: JobQuery) -> JobPage:
        """See Store.find."""
        return await self._readers.read(lambda connection: find(connection, query))

    async def find_ids(self, wanted: JobFilter, *, after: int, last: int, limit: int) -> IdPage:
        """See Store.find_ids."""
        return await self._readers.read(
            lambda connection: find_ids(connection, wanted, after=after, last=last, limit=limit)
        )

    async def last_id(self) -> int:
        """See Store.last_id."""
        return (await self._ask("last_id"))[0][0]

    async def add_operation(self, operation: NewOperation) -> int:
        """See Store.add_operation."""
        return await self._write(
            lambda transaction: transaction.insert("insert_operation", *row_of_operation(operation))
        )

    async def operation(self, operation_id: int) -> Operation | None:
        """See Store.operation."""
        rows = await self._ask("operation", operation_id)
        return operation_of_row(rows[0]) if rows else None

    async def operations(self, before_id: int, limit: int) -> Sequence[Operation]:
        """See Store.operations."""
        return [operation_of_row(row) for row in await self._ask("operations", before_id, limit)]

    async def open_operations(self) -> Sequence[Operation]:
        """See Store.open_operations."""
        return [operation_of_row(row) for row in await self._ask("open_operations")]

    async def ahead(self, record: JobRecord, limit: int) -> int:
        """See Store.ahead."""
        return await self._readers.read(lambda connection: ahead(connection, record, limit))

    async def attempts(self, job_id: int) -> Sequence[Attempt]:
        """See Store.attempts."""
        return [attempt_of_row(row) for row in await self._ask("attempts", job_id)]

    async def output(self, job_id: int, number: int | None = None) -> Output | None:
        """See Store.output."""
        if number is None:
            rows = await self._ask("last_output", job_id)
        else:
            rows = await self._ask("output", job_id, number)
        return Output(*rows[0]) if rows else None

    async def secrets(self) -> Sequence[KeptSecret]:
        """See SecretStore.secrets."""
        return [KeptSecret(*row) for row in await self._ask("secrets")]

    async def put_secret(self, secret: NewSecret) -> int:
        """See SecretStore.put_secret."""
        return await self._write(lambda transaction: keeping.put_secret(transaction, secret))

    async def delete_secret(self, kind: Kind, name: str) -> int:
        """See SecretStore.delete_secret."""
        return await self._write(lambda transaction: keeping.delete_secret(transaction, kind, name))

    async def reseal_secrets(self, sealed: Mapping[int, str]) -> None:
        """See SecretStore.reseal_secrets."""
        await self._write(lambda transaction: keeping.reseal_secrets(transaction, sealed))

    async def add_token(self, token: NewToken) -> int | None:
        """See TokenStore.add_token."""
        return await self._write(lambda transaction: keeping.insert_token(transaction, token))

    async def tokens(self) -> Sequence[Token]:
        """See TokenStore.tokens."""
        return [token_of_row(row) for row in await self._ask("tokens")]

    async def rotate_token(self, token_id: int, digest: bytes, old_until: int) -> bool:
        """See TokenStore.rotate_token."""
        return await self._write(lambda change: keeping.rotate_token(change, token_id, digest, old_until))

    async def revoke_token(self, token_id: int, now: int) -> bool:
        """See TokenStore.revoke_token."""
        return await self._write(lambda transaction: keeping.revoke_token(transaction, token_id, now))

    async def note_used(self, times: Mapping[int, int]) -> None:
        """See TokenStore.note_used."""
        await self._write(lambda transaction: keeping.note_used(transaction, times))

    async def add_act(self, act: Act) -> None:
        """See AuditStore.add_act."""
        await self._write(lambda transaction: transaction.run("insert_act", *row_of_act(act)))

    async def acts(self, before_id: int, limit: int) -> Sequence[Act]:
        """See AuditStore.acts."""
        return [act_of_row(row) for row in await self._ask("acts", before_id, limit)]

    async def purge_acts(self, before: int, limit: int) -> int:
        """See AuditStore.purge_acts."""
        return await self._write(lambda transaction: transaction.run("purge_acts", before, limit))

    @property
    def is_relaying(self) -> bool:
        """See Relay.is_relaying."""
        return self._pulse.is_relaying

    def relay(self, message: bytes) -> None:
        """See Relay.relay."""
        self._pulse.relay(message)

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """See Relay.on_relayed."""
        self._pulse.on_relayed(listener)

    def want_relayed(self, wanted: bool) -> None:
        """See Relay.want_relayed."""
        self._pulse.want_relayed(wanted)

    def on_arrival(self, listener: ArrivalListener) -> None:
        """See Store.on_arrival."""
        self._arrival_listeners.append(listener)
        self._pulse.on_arrival(listener)

    def on_cancel(self, listener: CancelListener) -> None:
        """See Store.on_cancel."""
        self._cancels.listen(listener)

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
        """See Store.on_failure. A database server is trusted again once it answers again."""

    async def close(self) -> None:
        """See Store.close."""
        self._is_closed = True
        await self._pulse.stop()
        await self._upkeep.stop()
        await self._adding.finish()
        for node_id in list(self._heartbeats):
            await self._end_heartbeat(node_id)
        for pool in (self._lookers, self._writers, self._readers):
            await pool.close()

    async def _end_heartbeat(self, node_id: int) -> None:
        heartbeat = self._heartbeats.pop(node_id, None)
        if heartbeat is not None:
            await asyncio.to_thread(heartbeat.end)

    def _arrived(self, run_at: int) -> None:
        for listener in self._arrival_listeners:
            listener(run_at)

    async def _write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        result, done = await self._writers.write_and_tell(work)
        if done.arrived is not None:
            self._arrived(done.arrived)
        return result

    async def _ask(self, name: str, *values: Any) -> Sequence[Row]:
        return await self._readers.read(lambda connection: ask(connection, name, *values))

    def _leave_demoted(self) -> None:
        """The server is a replica now: what is read there is old."""
        self._readers.renew()
        self._lookers.renew()

    async def _connect_writer(self) -> Connection:
        return await connect(self._address, autocommit=False)

    async def _connect_reader(self) -> Connection:
        limit_s, settings = TIME_LIMIT_S + LATE_S, self._server.reader_settings
        return await connect(self._address, autocommit=True, limit_s=limit_s, settings=settings)

    async def _connect_looker(self) -> Connection:
        return await connect(self._address, autocommit=True)
