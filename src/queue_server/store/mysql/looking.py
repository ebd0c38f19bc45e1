"""What a node sees when it looks at the database, and its messages to the others: the SQL behind its pulse."""

from collections.abc import Callable, Mapping, Sequence

from queue_server.store.mysql.bulk import listed
from queue_server.store.mysql.connection import Connection
from queue_server.store.mysql.pool import Pool
from queue_server.store.mysql.transaction import QUERIES, Transaction
from queue_server.store.pulse import Look, Message, Signs, Wish, followed_of
from queue_server.store.relay import Followed

MESSAGES_LIMIT = 1000
MESSAGES_KEPT = 60 * 1_000_000
DELETED_AT_ONCE = 5000


class Looking:
    """See PulseSource. `pool` is for nothing else, `now` tells the database's time."""

    def __init__(self, pool: Pool, writers: Pool, now: Callable[[], int]) -> None:
        self._pool = pool
        self._writers = writers
        self._now = now
        self._last_number = 0

    async def look(self, look: Look) -> Signs:
        """See PulseSource.look."""
        return await self._pool.read(lambda connection: _look(connection, look))

    async def want_messages(self, node_id: int, wanted: bool, follows: str) -> None:
        """See PulseSource.want_messages."""
        await self._writers.write(lambda transaction: transaction.run("want_messages", wanted, follows, node_id))

    async def send(self, node_id: int, bodies: Sequence[bytes]) -> None:
        """See PulseSource.send. A number is used once, also where it is not known whether it was stored."""
        now, first = self._now(), self._last_number + 1
        self._last_number += len(bodies)
        rows = [(node_id, number, now, body) for number, body in enumerate(bodies, first)]

        async def append(transaction: Transaction) -> None:
            await transaction.bulk("insert_messages", rows)
            await transaction.run("delete_messages", now - MESSAGES_KEPT, DELETED_AT_ONCE)

        await self._writers.write(append)


async def _look(connection: Connection, look: Look) -> Signs:
    rows = await connection.rows(QUERIES["look"], (look.node_id, look.now - look.lease))
    told_at, nodes, slots, wants, available, due, revision = rows[0]
    wishes = await connection.rows(QUERIES["wishes"], (look.node_id,))
    return Signs(
        told_at=told_at,
        nodes=nodes,
        slots=slots,
        due=due if available is None else available,
        is_relaying=bool(wants),
        revision=revision,
        followed=await _followed(connection, look) if wants else (),
        wishes=[Wish(*row) for row in wishes],
        ended=await _ended(connection, look.waited),
        messages=[] if look.heard is None else await _messages(connection, look, look.heard),
    )


async def _followed(connection: Connection, look: Look) -> Sequence[Followed]:
    rows = await connection.rows(QUERIES["follows"], (look.node_id, look.now - look.lease))
    return [followed for (text,) in rows for followed in followed_of(text)]


async def _ended(connection: Connection, waited: Sequence[int]) -> Sequence[int]:
    if not waited:
        return []
    unended = {job_id for (job_id,) in await connection.rows(QUERIES["unended"], (listed(waited),))}
    return [job_id for job_id in waited if job_id not in unended]


async def _messages(connection: Connection, look: Look, heard: Mapping[int, int]) -> list[Message]:
    """New messages: after the last one that was heard of a node, or since a time where none was."""
    found: list[Message] = []
    for node_id, last in await connection.rows(QUERIES["last_messages"], (look.node_id,)):
        if node_id not in heard:
            query, start = "messages_since", look.since
        elif last > heard[node_id]:
            query, start = "messages_of", heard[node_id]
        else:
            continue
        found += [Message(*row) for row in await connection.rows(QUERIES[query], (node_id, start, MESSAGES_LIMIT))]
    return found
