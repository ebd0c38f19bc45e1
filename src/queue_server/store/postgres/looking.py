"""What a node learns by looking: the SQL behind its pulse."""

from collections import OrderedDict
from collections.abc import Sequence

from queue_server.store.postgres.nodes import Nodes
from queue_server.store.postgres.pool import Pool
from queue_server.store.pulse import Look, Message, Signs, Wish, followed_of

MESSAGE_BYTES = 16 * 1024 * 1024
TOLD_LIMIT = 10_000


class Looking:
    """See PulseSource. Wishes that this process has told already, as they were its own, are not found again."""

    def __init__(self, pool: Pool, nodes: Nodes) -> None:
        self._pool = pool
        self._nodes = nodes
        self._told: OrderedDict[tuple[int, int], None] = OrderedDict()

    def told(self, job_id: int, claim_seq: int) -> None:
        """A wish has been told: it is about this claim."""
        self._told[job_id, claim_seq] = None
        if len(self._told) > TOLD_LIMIT:
            self._told.popitem(last=False)

    async def look(self, look: Look) -> Signs:
        """See PulseSource.look."""
        since = look.now - look.lease
        row = (await self._pool.rows("look", look.node_id, since, list(look.waited)))[0]
        told_at, nodes, slots, due, is_relaying, revision, follows, wishes, ended = row
        return Signs(
            told_at=told_at,
            nodes=nodes,
            slots=slots,
            due=due,
            is_relaying=is_relaying,
            revision=revision,
            followed=followed_of(follows or ""),
            wishes=[Wish(*wish) for wish in wishes if (wish[0], wish[1]) not in self._told],
            ended=ended,
            messages=await self._messages(look),
        )

    async def want_messages(self, node_id: int, wanted: bool, follows: str) -> None:
        """See PulseSource.want_messages."""
        self._nodes.wants_messages = wanted
        await self._pool.run("want_messages", node_id, wanted, follows)

    async def send(self, node_id: int, bodies: Sequence[bytes]) -> None:
        """See PulseSource.send."""
        await self._pool.run("insert_messages", node_id, list(bodies))
        await self._pool.run("delete_messages")

    async def _messages(self, look: Look) -> list[Message]:
        if look.heard is None:
            return []
        values = (look.node_id, look.since, list(look.heard), list(look.heard.values()), MESSAGE_BYTES)
        rows = await self._pool.rows("messages", *values)
        return [Message(node_id, number, bytes(body)) for number, node_id, body in rows]
