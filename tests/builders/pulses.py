"""A pulse source in memory: what a database would say, and what it was asked."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from queue_server.store.contract import Node
from queue_server.store.pulse import Look, Signs

NODE = Node(7, "a", 10, 0)
QUIET = Signs(told_at=1_000_000, nodes=1, slots=10, due=None, is_relaying=False)


class FakeSource:
    """Says `signs`, or raises `error`; tells whoever waits for the next look."""

    def __init__(self) -> None:
        self.signs = QUIET
        self.once: deque[Signs] = deque()
        self.error: Exception | None = None
        self.looks: list[Look] = []
        self.looked_at: list[float] = []
        self.follows: list[str] = []
        self.wanted: list[tuple[int, bool]] = []
        self.sent: list[Sequence[bytes]] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self._changed = asyncio.Event()

    async def look(self, look: Look) -> Signs:
        self.looks.append(look)
        self.looked_at.append(asyncio.get_running_loop().time())
        self._changed.set()
        if self.error:
            raise self.error
        return self.once.popleft() if self.once else self.signs

    async def want_messages(self, node_id: int, wanted: bool, follows: str) -> None:
        if self.error:
            raise self.error
        self.wanted.append((node_id, wanted))
        self.follows.append(follows)

    async def send(self, node_id: int, bodies: Sequence[bytes]) -> None:
        assert node_id == NODE.id
        await self.may_send.wait()
        if self.error:
            raise self.error
        self.sent.append(bodies)
        self._changed.set()

    def say(self, **members: object) -> None:
        """Change what it says from now on."""
        self.signs = msgspec.structs.replace(self.signs, **members)

    async def until(self, is_so: Callable[[], object], within_s: float = 5) -> None:
        """Wait for looks and messages until something is so."""
        async with asyncio.timeout(within_s):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()
                await asyncio.sleep(0)

    async def seen(self, looks: int) -> None:
        """Wait until so many more looks have been answered."""
        wanted = len(self.looks) + looks
        await self.until(lambda: len(self.looks) >= wanted)
